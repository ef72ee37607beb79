"""What a step of a core with stacks and one with lists have in common.

Legend: B batch, D input width, K output width, H hidden units, S stacks or lists, N elements of each, E of them that
are read, W numbers of an element, A actions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from lukasa.memory.core import Core, check_inputs, whole_precision
from lukasa.memory.stacks.mover import EMPTY, Mover, Moves, Rounding


class Moving(Core):
    """A simple recurrent network that moves what it stores, and a linear output.

    A subclass says what of a structure is read and what its actions do to it, and names its state: a NamedTuple of what
    is stored, [B, S, N, W], and ``controller``.

    Args:
        input_size: D.
        output_size: K.
        size: H.
        shape: S, N and W.
        elements: E.
        actions: A.
        recurrent: whether the hidden units read those of the step before.
        rounding: "never", or "eval" to take the most probable action as if it were certain in evaluation.
    """

    kind: ClassVar[str]
    """What one structure is called in a recording."""
    state: ClassVar[Any]
    """The class of the state."""
    places: Sequence[int]
    """The elements that are read, of N."""

    def __init__(
        self,
        input_size: int,
        output_size: int,
        *,
        size: int,
        shape: tuple[int, int, int],
        elements: int,
        actions: int,
        recurrent: bool,
        rounding: Rounding,
    ):
        super().__init__()
        self.input_size, self.output_size, self.rounds = input_size, output_size, rounding == "eval"
        self.shape = shape
        sizes = {"structures": shape[0], "elements": elements, "word_size": shape[2], "actions": actions}
        self.controller = Mover(input_size, size, **sizes, recurrent=recurrent)
        self.output = nn.Linear(size, output_size)

    def read(self, stored: Tensor) -> Tensor:
        """What the hidden units see of [B, S, N, W]: [B, S, E, W]."""
        raise NotImplementedError

    def moved(self, stored: Tensor, moves: Moves) -> Tensor:
        """What is stored next, [B, S, N, W]."""
        raise NotImplementedError

    @property
    def rounded(self) -> bool:
        """Whether the most probable action is taken as if it were certain, as things stand."""
        return self.rounds and not self.training

    def initial_state(self, batch_size: int) -> Any:
        """Nothing is stored, and hidden units are at rest."""
        stored = self.output.weight.new_full((batch_size, *self.shape), EMPTY)
        return self.state(stored, self.controller.initial_state(batch_size))

    def forward(self, inputs: Tensor, state: Any) -> tuple[Tensor, Any]:
        """One step: inputs [B, D] to outputs [B, K]."""
        check_inputs(self, inputs, state=state)
        before = state[0]
        hidden, moves, carried = self.controller(inputs, self.read(before), state.controller, self.rounded)
        with whole_precision(inputs.device):
            stored = self.moved(before.to(moves.actions.dtype), moves)
        if self.recorder is not None:
            self.recorder.append({f"{self.kind}_actions": moves.actions, f"{self.kind}s": stored[..., 0]})
        return self.output(hidden), self.state(stored.to(before.dtype), carried)
