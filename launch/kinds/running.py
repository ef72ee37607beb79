"""What every kind of training is asked: how long, how a run is kept, and how fast it learns.

An experiment of a kind derives from these, so that the fields have one meaning, one spelling and one bound each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Running:
    """How long a run trains, and how it is kept.

    Attributes:
        steps: what to train on.
        start_from: run, one of its checkpoints, or a model (lukasa list models), whose weights training begins with;
            drawn from the seed by default.
        stop_at: stop earlier, when the score of a line of metrics is at least this good.
        seed: seed of the weights and of all that is drawn.
        threads: threads of this process; more pay for large networks on cores that nobody else uses.
        checkpoint_every: seconds between two checkpoints.
    """

    steps: int = 100_000
    start_from: str | None = None
    stop_at: float | None = None
    seed: int = 0
    threads: int = 1
    checkpoint_every: float = 60.0

    @property
    def length(self) -> str:
        """How long it trains, for people: words before what a step is."""
        return f"{self.steps:,}"


@dataclass(frozen=True, kw_only=True)
class Optimisation:
    """Steps of gradient descent.

    Attributes:
        lr: learning rate of the optimizer.
        schedule: constant learning rate, one that halves every so many steps, or a decay that ends with the last.
        warmup: steps over which the learning rate rises.
        halve_every: steps after which the learning rate halves (schedule halving).
        final_lr: share of the learning rate that a decay ends at (schedules linear and cosine).
        clip_norm: largest norm of the gradient.
    """

    lr: float = 1e-3
    schedule: Literal["constant", "linear", "cosine", "halving"] = "constant"
    warmup: int = 0
    halve_every: int = 2000
    final_lr: float = 0.0
    clip_norm: float | None = None


@dataclass(frozen=True, kw_only=True)
class ByBatch(Running, Optimisation):
    """Training batch by batch, on examples that a source draws.

    Attributes:
        batch_size: examples of one gradient step.
        optimizer: RMSProp as in Graves 2013, Adam, AdamW, plain gradient descent, or AdaGrad.
        momentum: momentum of RMSProp and plain gradient descent; beta 1 of Adam and AdamW.
        epsilon: what keeps the optimizer's division finite; each one's own by default.
        weight_decay: weight decay of every optimizer but RMSProp.
        clip_value: largest size of one element of the gradient.
        device: where it is computed.
        prefetch: draw each batch while the one before is learned, in a thread, where drawing takes long: the batches
            stay the same.
        report_every: steps of one line of metrics.
        validate_every: steps after which the next line of metrics has a validation as well; never by default.
    """

    batch_size: int = 16
    optimizer: Literal["rmsprop", "adam", "adamw", "sgd", "adagrad"] = "adam"
    momentum: float = 0.9
    epsilon: float | None = None
    weight_decay: float = 0.0
    clip_value: float | None = None
    device: Literal["cpu", "cuda"] = "cpu"
    prefetch: bool = False
    report_every: int = 1000
    validate_every: int | None = None


LEAST = {
    "steps": 1,
    "seed": 0,
    "threads": 1,
    "checkpoint_every": 0,
    "final_lr": 0,
    "batch_size": 1,
    "momentum": 0,
    "weight_decay": 0,
    "warmup": 0,
    "halve_every": 1,
    "report_every": 1,
    "validate_every": 1,
}
"""The smallest value of each of these fields; None is always allowed."""

ABOVE_ZERO = ("lr", "epsilon", "clip_value", "clip_norm")
AT_MOST_ONE = ("final_lr",)
AT_MOST = {"threads": 1024}
BELOW_ONE = ("momentum",)
MAY_CHANGE = ("steps", "stop_at", "threads", "checkpoint_every")
"""What a resumed run may be given anew."""

BEFORE_FIRST = ("start_from",)
"""What says how a run begins, and nothing to one that is resumed."""
