"""What a run of ``lukasa train task`` is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from lukasa.launch.kinds.running import ByBatch


@dataclass(frozen=True)
class CurriculumOptions:
    """Which settings of the task come when.

    Attributes:
        kind: always the same, lesson by lesson until each is mastered, or a level that doubles when the loss is low.
        lessons: (lessons) a JSON list of settings, the easiest first, or a file that holds one.
        mastery: (lessons) mean score of the last batches at which the next lesson begins.
        review: (lessons) share of batches from earlier lessons.
        level: (doubling) the settings that are the level, such as min_length max_length.
        lowest: (doubling) level of the easiest batch.
        start: (doubling) the highest level at first.
        limit: (doubling) the highest level at all.
        threshold: (doubling) bits per sequence below which the level doubles.
        window: batches that the mean score or loss is taken over.
    """

    kind: Literal["uniform", "lessons", "doubling"] = "uniform"
    lessons: str = ""
    mastery: float = 90.0
    review: float = 0.1
    level: tuple[str, ...] = ()
    lowest: int = 1
    start: int = 1
    limit: int = 1
    threshold: float = 1.0
    window: int = 20


@dataclass(frozen=True, kw_only=True)
class TaskExperiment(ByBatch):
    """A core, a supervised task and how it learns.

    Attributes:
        task: name of the task; lukasa list tasks names them all.
        sampler: settings of the task; its defaults for those that are not given.
        core: name of the memory core; lukasa list cores names them all.
        memory: options of the core; its defaults for those that are not given.
        steps: sequences to train on.
        stop_at: stop earlier, when the mean score of a line of metrics is at least this good.
        batch_size: sequences of one gradient step.
        chunk: steps of backpropagation through time; whole sequences by default.
        teacher_forcing: share of steps that show the right answer before, where outputs feed back.
        memory_use: weight of an auxiliary loss that rewards using different slots at different steps.
        curriculum: which settings of the task come when.
        precision: bfloat16 runs the core in mixed precision, on a GPU.
        compile: compile the core's step with ``torch.compile``: half a minute of preparation, then an NTM on a CPU
            takes two thirds to three quarters of the time; needs a C++ compiler.
        gradient_flow: with every line of metrics, measure the gradient with respect to each step's state.
        validate_every: sequences after which the next line of metrics has the score on validation sequences as well,
            with the core's own answers fed back; never by default.
    """

    task: str = "copy"
    sampler: Mapping[str, Any] = field(default_factory=dict)
    core: str = "ntm"
    memory: Mapping[str, Any] = field(default_factory=dict)
    chunk: int | None = None
    teacher_forcing: float = 1.0
    memory_use: float = 0.0
    curriculum: CurriculumOptions = field(default_factory=CurriculumOptions)
    precision: Literal["float32", "bfloat16"] = "float32"
    compile: bool = False
    gradient_flow: bool = False

    @property
    def about(self) -> str:
        """What is trained on what, for people."""
        return f"{self.core} on {self.task}"

    @property
    def name(self) -> str:
        """What a run of it is called when nobody says."""
        return f"{self.task}-{self.core}"
