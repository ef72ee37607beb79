"""Ablation: a core whose memory, or whose controller, is wiped before every step, to see what that part is for.

Legend: B batch, D input width, K output width.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from lukasa.ground.names import UnknownNameError, nearest
from lukasa.memory.auxiliary import Auxiliary
from lukasa.memory.core import Core, State
from lukasa.memory.states import StatePart, state_leaves

CONTROLLER = "controller"
"""Field of a state that holds the recurrent state of the controller; all other fields are the memory's."""

PARTS = ("memory", "controller", "both")
"""What can be wiped."""


def state_parts(core: Core) -> tuple[str, ...]:
    """Which of ``PARTS`` a core carries from step to step: those that can be wiped.

    A field ``controller`` of the state is the controller's, all others are the memory: contents, weightings, reads,
    usage, links. A state without that field is memory as a whole, such as that of an LSTM.

    Example:
        >>> from lukasa.memory import make_core
        >>> state_parts(make_core("ntm", input_size=3, output_size=2))
        ('memory', 'controller', 'both')
        >>> state_parts(make_core("ntm", input_size=3, output_size=2, controller="feedforward"))
        ('memory',)
        >>> state_parts(make_core("feedforward", input_size=3, output_size=2))
        ()
    """
    state = core.initial_state(1)
    filled = {_part_of(path) for path, _ in state_leaves(state)}
    return PARTS if len(filled) == 2 else tuple(part for part in PARTS if part in filled)


def without(core: Core, part: str) -> Without:
    """The core with a part of its state wiped before every step.

    Args:
        core: any core; it is not changed, and its weights are shared.
        part: "memory", "controller" or "both".

    Raises:
        ValueError: there is no such part, or the core carries nothing in it.

    Example:
        >>> import torch, memory
        >>> core = memory.make_core("ntm", input_size=3, output_size=2, slots=8, word_size=4)
        >>> outputs, state = memory.unroll(memory.without(core, "memory"), torch.zeros(1, 5, 3))
    """
    check_part(core, part)
    return Without(core, part)


def check_part(core: Core, part: str) -> None:
    """Refuse a part that a core does not carry.

    Raises:
        ValueError: the message says which parts there are, and why not this one.
    """
    if part not in PARTS:
        raise UnknownNameError(f"a core has no part {part!r} to be wiped: {nearest(part, PARTS)}")
    name, parts = type(core).__name__, state_parts(core)
    if part in parts:
        return
    if not parts:
        raise ValueError(f"core {name} carries nothing from one step to the next: there is nothing to be wiped")
    if parts == ("controller",):
        raise ValueError(f"all that core {name} carries is the state of its controller: wipe 'controller'")
    if CONTROLLER in getattr(core.initial_state(1), "_fields", ()):
        raise ValueError(
            f"the controller of this core {name} is feed-forward and carries nothing from one step to the next: "
            "only 'memory' can be wiped"
        )
    raise ValueError(f"core {name} has no controller beside its memory, its whole state is one: wipe 'memory'")


class Without(Core):
    """A core with a part of its state wiped before every step; make one with ``without``.

    Each step reads its input as if the part were that of ``initial_state``, with the other part as the step before
    left it. Runs step by step whatever the core could do at once: attributes of the core, and among them ``sequence``,
    are not those of this one.
    """

    def __init__(self, core: Core, part: str):
        super().__init__()
        self.core, self.part = core, part
        self.input_size, self.output_size = core.input_size, core.output_size
        self.chooses, self.rounds = core.chooses, core.rounds

    @property
    def recorder(self) -> list[dict[str, Tensor]] | None:  # pyright: ignore
        """That of the core, so that ``memory.record`` sees what it does."""
        return self.core.recorder

    @recorder.setter
    def recorder(self, steps: list[dict[str, Tensor]] | None) -> None:  # pyright: ignore
        self.core.recorder = steps

    @property
    def auxiliary(self) -> Auxiliary | None:  # pyright: ignore
        """That of the core, so that ``memory.collect_auxiliary`` gets what it hands out."""
        return self.core.auxiliary

    @auxiliary.setter
    def auxiliary(self, collected: Auxiliary | None) -> None:  # pyright: ignore
        self.core.auxiliary = collected

    def initial_state(self, batch_size: int) -> State:
        """That of the core."""
        return self.core.initial_state(batch_size)

    def forward(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """One step: inputs [B, D] to outputs [B, K]."""
        return self.core(inputs, wipe(self.core, state, self.part))


def wipe(core: Core, state: State, part: str) -> State:
    """A state with one part as it was before the first step.

    Args:
        core: whose state it is.
        state: with B rows; a sparse memory that is wiped is emptied in place.
        part: one of ``state_parts(core)``.
    """
    batch_size = next(_sizes(state))
    fresh = core.initial_state(batch_size)
    if not hasattr(state, "_fields"):
        return _fresh(state, fresh)
    wiped = PARTS[:2] if part == "both" else (part,)
    fields = {
        name: _fresh(old, new) if _part_of(name) in wiped else old
        for name, old, new in zip(state._fields, state, fresh, strict=True)
    }
    return type(state)(**fields)


def _part_of(path: str) -> str:
    return "controller" if path.partition(".")[0] == CONTROLLER else "memory"


def _sizes(state: State) -> Iterator[int]:
    return (part.shape[0] if isinstance(part, Tensor) else part.batch_size for _, part in state_leaves(state))


def _fresh(old: Any, new: Any) -> Any:
    """What a part of a state was at first; one that changes in place goes on as the same one, emptied."""
    if isinstance(old, Tensor):
        return new
    if isinstance(old, StatePart):
        return old.reset(torch.ones(old.batch_size, dtype=torch.bool))
    return type(old)(*(_fresh(*pair) for pair in zip(old, new, strict=True)))
