"""What a run of ``lukasa train questions`` is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from lukasa.launch.kinds.running import ByBatch
from lukasa.launch.options.described import rows


@dataclass(frozen=True, kw_only=True)
class QuestionExperiment(ByBatch):
    """A reader, the questions it learns to answer, and how.

    Attributes:
        reader: name of the reader; lukasa list readers names them all.
        options: options of the reader; its defaults for those that are not given.
        data: the set of questions; lukasa list questions names them all. Your own goes by package.module:Name.
        dataset: options of the set of questions; its defaults for those that are not given.
        tasks: which tasks of the set, such as 1-3,5; all of them by default.
        apart: train a reader for each task, side by side, and not one for all tasks together.
        sentences: sentences that a reader holds; of a longer story, the last ones.
        noise: empty memories for each sentence, at random places of each story that is trained on.
        keep: which weights count in the end, for each reader: the last, or those of the lowest validation loss.
        steps: questions to train on; each reader that many where tasks are apart.
        stop_at: stop earlier, when the score of a line of metrics is at least this good.
        batch_size: questions of one gradient step.
        first_lr: learning rate of a reader's linear start (option linear_start), before the schedule begins.
        validate_every: questions after which the next line of metrics has the score on validation questions as well;
            never by default.
    """

    reader: str = "memn2n"
    options: Mapping[str, Any] = field(default_factory=dict)
    data: str = "babi"
    dataset: Mapping[str, Any] = field(default_factory=dict)
    tasks: str = ""
    apart: bool = False
    sentences: int = 50
    noise: float = 0.0
    keep: Literal["last", "best"] = "last"
    first_lr: float | None = None
    steps: int = 100_000
    batch_size: int = 32
    report_every: int = 2000

    @property
    def about(self) -> str:
        """What is trained on what, for people."""
        tasks = f", tasks {self.tasks}" if self.tasks else ""
        return f"{self.reader} on {self.data_title}{tasks}{', each by itself' if self.apart else ''}"

    @property
    def name(self) -> str:
        """What a run of it is called when nobody says."""
        return f"{self.data}-{self.reader}"

    @property
    def data_title(self) -> str:
        """What the set of questions is called, with the size that was chosen where it has sizes."""
        described = rows("questions").get(self.data)
        title = described["title"] if described else self.data.rpartition(":")[2]
        return f"{title} {self.dataset['size']}" if "size" in self.dataset else title
