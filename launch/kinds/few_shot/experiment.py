"""What a run of ``lukasa train few-shot`` is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from lukasa.launch.kinds.running import ByBatch
from lukasa.launch.options.described import rows

SHARED = ("size", "source", "data_dir", "turns")
"""Options of data sets that are spelt without the group, --size in place of --dataset.size."""


@dataclass(frozen=True, kw_only=True)
class FewShotExperiment(ByBatch):
    """A learner, the episodes it learns from, and how.

    Attributes:
        learner: name of the learner: prototypical, matching, maml, nearest or sequence.
        options: options of the learner; its defaults for those that are not given.
        data: the data set: omniglot, omniglot_strokes, folder (your own images), array (your own .npy or .npz file), or
            package.module:Name of your own; lukasa list datasets describes them.
        dataset: options of the data set; its defaults for those that are not given.
        part: part of the data that is trained on. Every data set has train and test; of Omniglot train has 1,200
            characters and test the other 423, fit and validation are train in two, to choose settings by, background,
            evaluation, background_small1 and background_small2 are official, and all is everything.
        size: side of the pictures, pixels.
        source: (omniglot) real, generated, or auto for real characters where their files are available.
        data_dir: (omniglot) folder to look for the files in first.
        turns: pictures turned by 90, 180 and 270 degrees are classes of their own; by default on for the characters of
            Omniglot and off for others.
        augment: move, turn and stretch each picture a little, each time it is shown.
        ways: classes of an episode.
        shots: support examples of each class.
        queries: queries of each class.
        test_ways: classes of an episode that the learner is validated and evaluated on; as many as ways by default.
        test_shots: support examples of each class there; as many as shots by default.
        steps: episodes to train on.
        stop_at: stop earlier, when the accuracy of a line of metrics, in percent, is at least this.
        batch_size: episodes of one gradient step.
        validate_every: episodes after which the next line of metrics has the accuracy on episodes of part validation
            as well; never by default. Of Omniglot it takes part fit, which has no character of validation.
    """

    learner: str = "prototypical"
    options: Mapping[str, Any] = field(default_factory=dict)
    data: str = "omniglot"
    dataset: Mapping[str, Any] = field(default_factory=dict)
    part: str = "train"
    size: int = 28
    source: Literal["auto", "real", "generated"] = "auto"
    data_dir: str = ""
    turns: bool | None = None
    augment: bool = False
    ways: int = 5
    shots: int = 1
    queries: int = 5
    test_ways: int | None = None
    test_shots: int | None = None
    steps: int = 10_000
    batch_size: int = 1
    report_every: int = 100

    @property
    def about(self) -> str:
        """What is trained on what, for people."""
        return f"{self.learner} on {self.data_title}, {self.ways} ways, {self.shots} shot{'s'[: self.shots > 1]}"

    @property
    def name(self) -> str:
        """What a run of it is called when nobody says."""
        return f"{self.data}-{self.learner}"

    @property
    def data_title(self) -> str:
        """What the data set is called; one of your own files by its name."""
        described = rows("datasets").get(self.data)
        if described is None:
            return self.data.rpartition(":")[2]
        place = str(self.dataset.get(described["place"]) or "")
        return Path(place).name or place or described["title"]

    @property
    def tested_on(self) -> tuple[int, int]:
        """Ways and shots of the episodes that it is validated and evaluated on."""
        return self.test_ways or self.ways, self.test_shots or self.shots
