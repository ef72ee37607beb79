"""Optimisers and learning-rate schedules by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, Literal, TypeAlias, get_args

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from lukasa.agents.learning.rmsprop import GravesRMSProp

OptimizerName: TypeAlias = Literal["rmsprop", "adam", "adamw", "sgd", "adagrad"]
FIRST_SUM = 0.1
"""What AdaGrad's sums of squares begin with, as where papers of the time used it."""

ScheduleName: TypeAlias = Literal["constant", "linear", "cosine", "halving"]


def make_optimizer(
    name: OptimizerName,
    parameters: Iterable[Any],
    lr: float,
    *,
    momentum: float = 0.9,
    epsilon: float | None = None,
    weight_decay: float = 0.0,
) -> Optimizer:
    """An optimiser by name.

    Args:
        name: "rmsprop" as in Graves 2013, "adam", "adamw", "sgd", or "adagrad", whose sums of squares begin at 0.1, so
            that the first steps are not as large as the learning rate.
        parameters: what to optimise.
        lr: learning rate.
        momentum: of "rmsprop" and "sgd"; β1 of "adam" and "adamw".
        epsilon: what keeps the division finite; each optimiser's own by default.
        weight_decay: of "adam", "sgd" and "adagrad" (added to the gradient), and "adamw" (taken off the weights).

    Raises:
        ValueError: the name is unknown, or a number is out of its range.
    """
    options: dict[str, Any] = {"lr": lr}
    if name == "rmsprop":
        if weight_decay:
            raise ValueError("rmsprop as Graves used it has no weight decay: take adamw, or leave it at 0")
        return GravesRMSProp(parameters, **options, momentum=momentum, **({"epsilon": epsilon} if epsilon else {}))
    if name == "sgd":
        return torch.optim.SGD(parameters, **options, momentum=momentum, weight_decay=weight_decay)
    if name == "adagrad":
        options |= {"initial_accumulator_value": FIRST_SUM, "weight_decay": weight_decay, "eps": epsilon or 1e-10}
        return torch.optim.Adagrad(parameters, **options)
    kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    if name not in kinds:
        raise ValueError(f"unknown optimizer {name!r}: choose one of {', '.join(get_args(OptimizerName))}")
    options |= {"betas": (momentum, 0.999), "weight_decay": weight_decay, "eps": epsilon or 1e-8}
    return kinds[name](parameters, **options)


def make_schedule(
    optimizer: Optimizer,
    name: ScheduleName = "constant",
    *,
    batches: float,
    warmup: float = 0,
    final: float = 0.0,
    halve_every: float = math.inf,
    before: tuple[int, float] | None = None,
) -> LambdaLR:
    """A schedule of the learning rate, by batches: see ``schedule_factor``.

    Args:
        optimizer: whose rate it is.
        name: as of ``schedule_factor``, and so are the others.
        batches: of the whole training.
        warmup: batches of the rise.
        final: share of the rate that a decay ends at.
        halve_every: batches.
        before: batches before the schedule begins, and the share of the learning rate that they have.
    """
    first, share = before or (0, 1.0)
    factor = schedule_factor(name, batches=batches - first, warmup=warmup, final=final, halve_every=halve_every)
    return LambdaLR(optimizer, lambda batch: share if batch < first else factor(batch - first))


def schedule_factor(
    name: ScheduleName, *, batches: float, warmup: float = 0, final: float = 0.0, halve_every: float = math.inf
) -> Callable[[float], float]:
    """Which share of the learning rate a batch has: a linear rise, then constant, halving, or a decay.

    Args:
        name: "constant", "linear" or "cosine" decay that ends with the last batch, or "halving".
        batches: of the whole training.
        warmup: batches of the rise from a share of 1 / (warmup + 1).
        final: share of the learning rate that a decay ends at.
        halve_every: batches, need not be whole, after which "halving" halves it.

    Raises:
        ValueError: the name is unknown.
    """
    shapes: dict[str, Callable[[float], float]] = {
        "constant": lambda _: 1.0,
        "linear": lambda done: 1 - done,
        "cosine": lambda done: (1 + math.cos(math.pi * done)) / 2,
    }
    if name not in shapes and name != "halving":
        raise ValueError(f"unknown schedule {name!r}: choose one of {', '.join(shapes)}, halving")

    def factor(batch: float) -> float:
        rise = min(1.0, (batch + 1) / (warmup + 1))
        if name == "halving":
            return rise * 0.5 ** (batch // halve_every)
        done = min(1.0, max(0, batch - warmup) / max(1, batches - warmup))
        return rise * (final + (1 - final) * shapes[name](done))

    return factor
