"""What a run of ``lukasa train continual`` is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lukasa.launch.kinds.running import ByBatch

MODELS = {"babi_stream": "memn2n", "algorithms": "lstm", "permuted_pixels": "mlp"}
"""Models of streams where nobody says; of all others an encoder of pictures, "conv"."""


@dataclass(frozen=True, kw_only=True)
class ContinualExperiment(ByBatch):
    """A stream of tasks, a method that learns them one after the other, and how.

    Attributes:
        method: how earlier tasks are kept; lukasa list methods names them all.
        options: options of the method; its defaults for those that are not given.
        stream: the tasks; lukasa list streams names them all.
        dataset: options of the stream; its defaults for those that are not given.
        model: what learns: an encoder of pictures, conv or mlp; a reader of stories; a core. By default conv, for
            permuted pixels mlp, for stories memn2n and for sequences lstm.
        model_options: options of the model, NAME VALUE; its defaults for those that are not given.
        task_known: whether it is told which task an example is of, also in the test: each task then has answers, or a
            head, of its own. Without it one head has all answers.
        task_steps: examples to learn from of each task, one task after the other.
        once: each example is seen once, and no more: a task is then as long as it has examples for whole batches.
        steps: examples to train on; training ends with the last task in any case.
        stop_at: stop earlier, when the average accuracy of a line of metrics is at least this good.
        batch_size: examples of one gradient step.
        report_every: examples of one line of metrics; the end of a task makes one as well.
        validate_every: says nothing here: every line of metrics has the test accuracies.
    """

    method: str = "rehearsal"
    options: Mapping[str, Any] = field(default_factory=dict)
    stream: str = "omniglot_alphabets"
    dataset: Mapping[str, Any] = field(default_factory=dict)
    model: str | None = None
    model_options: Mapping[str, Any] = field(default_factory=dict)
    task_known: bool = True
    task_steps: int = 6000
    once: bool = False
    steps: int = 1_000_000_000
    batch_size: int = 32
    report_every: int = 1_000_000

    @property
    def about(self) -> str:
        """What is trained on what, for people."""
        return f"{self.method} on {self.subject_name}"

    @property
    def length(self) -> str:
        """How long it trains, for people."""
        return f"each task for {self.task_steps:,}"

    @property
    def name(self) -> str:
        """What a run of it is called when nobody says."""
        return f"{self.stream}-{self.method}"

    @property
    def subject_name(self) -> str:
        """The stream, and whether its tasks are known and its examples seen once."""
        said = "known tasks" if self.task_known else "unknown tasks"
        return f"{self.stream.rpartition(':')[2]}, {said}{', seen once' if self.once else ''}"

    @property
    def chosen_model(self) -> str:
        """The model, or the default one of the stream."""
        return self.model or MODELS.get(self.stream, "conv")
