"""Handing out, and collecting, what a core wants beside its task; see ``memory.auxiliary``.

Legend: B batch, T time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor

from lukasa.memory.auxiliary import Auxiliary
from lukasa.memory.core import Core


@contextmanager
def collect_auxiliary(core: Core) -> Iterator[Auxiliary]:
    """Collect the costs and choices of a core inside the ``with`` block; a core that has none collects nothing.

    Example:
        >>> import torch
        >>> from lukasa import memory
        >>> core = memory.make_core("gru", input_size=3, output_size=2)
        >>> with memory.collect_auxiliary(core) as auxiliary:
        ...     outputs, _ = memory.unroll(core, torch.zeros(1, 5, 3))
        >>> loss, cost = outputs.square().mean(), auxiliary.cost()
        >>> loss = loss if cost is None else loss + cost
    """
    auxiliary = Auxiliary()
    previous, core.auxiliary = core.auxiliary, auxiliary
    try:
        yield auxiliary
    finally:
        core.auxiliary = previous


def add_cost(core: Core, name: str, cost: Tensor) -> None:
    """Hand out what one step [B] or several [B, T] cost, weighted; nothing happens while nobody collects.

    Args:
        core: whose cost it is.
        name: what is paid for, such as "ponder".
        cost: to be minimised.
    """
    if core.auxiliary is not None:
        core.auxiliary.costs.setdefault(name, []).append(cost if cost.dim() == 2 else cost.unsqueeze(1))


def add_choice(core: Core, log_probability: Tensor) -> None:
    """Hand out how probable what was chosen at one step [B], or several [B, T], was; see ``add_cost``."""
    if core.auxiliary is not None:
        part = log_probability if log_probability.dim() == 2 else log_probability.unsqueeze(1)
        core.auxiliary.choices.append(part)


def refuse_choices(core: Core, whose: str) -> None:
    """Refuse a core whose choices nobody would judge.

    Args:
        core: that is to be trained.
        whose: who would train it, as the subject of a sentence.

    Raises:
        ValueError: the core chooses at random.
    """
    if core.chooses:
        raise ValueError(
            f"with these options core {type(core).__name__} chooses at random in training, which {whose} cannot learn "
            "from: choose options with which it does not, or train it on a task (lukasa train task)"
        )
