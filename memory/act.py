"""Adaptive computation time around any core (Graves 2016): how often to think about an input is learned.

The inner core takes several steps at one input before the next is read. After each of them a halting unit says how
much it counts; output and state are the means of what the steps left. Every step costs, so a core learns to think long
only where it pays.

Legend: B batch, D input width, K output width, S numbers that the inner core emits.
"""

from __future__ import annotations

import sys
from functools import wraps
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lukasa.memory.auxiliary import Auxiliary
from lukasa.memory.collecting import add_choice, add_cost
from lukasa.memory.core import HALVES, Core, State, check_inputs, whole_precision
from lukasa.memory.derivatives import needs_reference
from lukasa.memory.halting import Halting, HaltingUnit, begin, halt, ponder_cost
from lukasa.memory.registry import CORES, make_core
from lukasa.memory.states import map_state, reset_rows, state_leaves


def by_itself(function: Any) -> Any:
    """A decorator: a compiler takes the inner steps, and leaves to Python what comes between them.

    As ``torch.compiler.disable``, which would import the compiler now, and that takes longer than all else together.
    """

    @wraps(function)
    def called(*given: Any) -> Any:
        if "torch._dynamo" not in sys.modules:
            return function(*given)
        if not hasattr(function, "uncompiled"):
            function.uncompiled = torch.compiler.disable(function)
        return function.uncompiled(*given)

    return called


class Thought(NamedTuple):
    """What one step of the inner core gave."""

    emitted: Tensor  # [B, S]
    state: State
    shown: dict[str, Tensor]  # what it recorded
    handed_out: Auxiliary | None


class ACT(Core):
    """A core that may take several steps at each input.

    The inner core emits ``size`` numbers a step. The halting unit reads them, and a linear layer makes the output of
    their mean, which equals the mean of the outputs. The inner core also sees whether this is its first step at an
    input. The state is that of the inner core:

    - Where it is made of numbers alone, it is the mean of the states after each step, weighted as the outputs are.
    - Where parts of it are no such numbers, as the marks of a window that is partly filled are, a mean of the others
      would not fit them: the whole state is then that of the last step that a row took. So a window counts thoughts.
    - A sparse memory is changed in place, and a row that has halted would go on writing: such a core is refused.

    Args:
        input_size: D.
        output_size: K.
        core: the inner core, a name or "package.module:Class".
        core_options: the options of the inner core.
        size: numbers that the inner core emits at a step (S).
        max_steps: most steps at one input (M).
        epsilon: how much of the total weight may be missing when a row halts (ε).
        ponder_weight: weight of the cost of thinking, the number of steps plus what was left of the total weight (τ);
            handed out by ``memory.add_cost``.
        halting_bias: bias of the halting unit before training; with 1 hardly any input gets more than two steps at
            first.
    """

    def __init__(
        self,
        input_size: int,
        output_size: int,
        *,
        core: str = "lstm",
        core_options: dict[str, Any] | None = None,
        size: int = 128,
        max_steps: int = 10,
        epsilon: float = 0.01,
        ponder_weight: float = 0.01,
        halting_bias: float = 1.0,
    ):
        super().__init__()
        if not 0 < epsilon < 1:
            raise ValueError(f"option 'epsilon' of core 'act' is {epsilon:g}: expected a number between 0 and 1")
        if ponder_weight < 0:
            raise ValueError(f"option 'ponder_weight' of core 'act' is {ponder_weight:g}: expected 0 or more")
        self.input_size, self.output_size = input_size, output_size
        self.max_steps, self.ponder_weight = max_steps, ponder_weight
        self.core = make_core(core, input_size=input_size + 1, output_size=size, **(core_options or {}))
        self.chooses, self.rounds = self.core.chooses, self.core.rounds
        self.averages = _can_be_averaged(core, self.core.initial_state(1))
        self.halting = HaltingUnit(size, epsilon=epsilon, bias=halting_bias)
        self.output = nn.Linear(size, output_size)

    def initial_state(self, batch_size: int) -> State:
        """That of the inner core."""
        return self.core.initial_state(batch_size)

    def forward(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """One step: inputs [B, D] to outputs [B, K]."""
        check_inputs(self, inputs, state=state)
        own = self.output.weight.dtype
        dtype = torch.float32 if own in HALVES else own
        halting = begin(torch.ones(len(inputs), dtype=torch.bool, device=inputs.device), dtype)
        means, carried = Means(self.averages, dtype), state
        # Whether all have halted cannot be looked up while a call is transformed or traced.
        blind = needs_reference()
        for number in range(self.max_steps):
            thought = self._think(torch.cat([inputs, torch.full_like(inputs[:, :1], number == 0)], 1), carried)
            weights, after = self._halt(thought.emitted.to(own), halting, number == self.max_steps - 1)
            with whole_precision(inputs.device):
                means.add(thought, weights, halting.running)
            # A row that has halted stays where it is, so that it cannot run away while others think.
            carried = _moved_on(carried, thought.state, halting.running) if number else thought.state
            halting = after
            if not blind and not halting.running.any():
                break
        self._hand_out(means, halting)
        if self.recorder is not None:
            self.recorder.append({**means.shown, "ponder": halting.steps})
        last = map_state(lambda mean, old: mean.to(old.dtype), means.state, state) if self.averages else carried
        return self.output(means.emitted.to(own)), last

    def _think(self, inputs: Tensor, state: State) -> Thought:
        """One step of the inner core, watched as this one is."""
        inner, watched = self.core, (self.core.recorder, self.core.auxiliary)
        steps: list[dict[str, Tensor]] | None = None if self.recorder is None else []
        handed_out = None if self.auxiliary is None else Auxiliary()
        if watched != (steps, handed_out):
            inner.recorder, inner.auxiliary = steps, handed_out
        try:
            emitted, state = inner(inputs, state)
        finally:
            if watched != (steps, handed_out):
                inner.recorder, inner.auxiliary = watched
        return Thought(emitted, state, steps[0] if steps else {}, handed_out)

    @by_itself
    def _halt(self, emitted: Tensor, before: Halting, last: bool) -> tuple[Tensor, Halting]:
        """The weight of a step [B], and who goes on; in the precision of sums over many steps."""
        probability = self.halting.linear(emitted).squeeze(1).to(before.total.dtype).sigmoid()
        return halt(probability, before, self.halting.epsilon, last)

    def _hand_out(self, means: Means, halting: Halting) -> None:
        """The cost of thinking, and what the inner core handed out."""
        if self.auxiliary is None:
            return
        costs = dict(means.costs)
        if self.ponder_weight > 0:
            own = self.ponder_weight * ponder_cost(halting)
            costs["ponder"] = own + costs["ponder"] if "ponder" in costs else own  # the inner core may think as well
        for name, cost in costs.items():
            add_cost(self, name, cost)
        if means.log_probability is not None:
            add_choice(self, means.log_probability)


class Means:
    """What the steps at one input come to: means by the weights of the steps, of each row up to where it halted.

    Args:
        averages: whether states, and with them what is recorded, are averaged; otherwise the last step's stay.
        dtype: to sum in.
    """

    def __init__(self, averages: bool, dtype: torch.dtype):
        self.averages, self.dtype = averages, dtype
        self.emitted: Any = None
        self.state: Any = None
        self.shown: dict[str, Tensor] = {}
        self.costs: dict[str, Tensor] = {}
        self.log_probability: Tensor | None = None

    @by_itself
    def add(self, thought: Thought, weights: Tensor, running: Tensor) -> None:
        """Add one step.

        Args:
            thought: what it gave.
            weights: [B], how much it counts.
            running: bool [B], which rows took it; of the others nothing is looked at.
        """

        def part(new: Tensor, by: Tensor = weights) -> Tensor:
            shape = (-1, *(1,) * (new.dim() - 1))
            new = new if new.is_complex() else new.to(self.dtype)
            return torch.where(running.view(shape), by.view(shape) * new, 0)

        first = self.emitted is None
        self.emitted = part(thought.emitted) if first else self.emitted + part(thought.emitted)
        if self.averages:
            parts = map_state(part, thought.state)
            self.state = parts if first else map_state(torch.add, self.state, parts)
        for name, new in thought.shown.items():
            if self.averages and new.is_floating_point():
                self.shown[name] = part(new) if first else self.shown[name] + part(new)
            else:
                took = running.view(-1, *(1,) * (new.dim() - 1))
                self.shown[name] = new if first else torch.where(took, new, self.shown[name])
        if thought.handed_out is not None:
            self._add_handed_out(thought.handed_out, part, weights.detach())

    def _add_handed_out(self, handed_out: Auxiliary, part: Any, weights: Tensor) -> None:
        """Costs are averaged, or else thinking itself would cost or pay; choices are made one after another."""
        for name, costs in handed_out.costs.items():
            cost = part(torch.cat(costs, 1).sum(1), weights)
            self.costs[name] = self.costs[name] + cost if name in self.costs else cost
        if handed_out.choices:
            choice = part(torch.cat(handed_out.choices, 1).sum(1), torch.ones_like(weights))
            self.log_probability = choice if self.log_probability is None else self.log_probability + choice


@by_itself
def _moved_on(state: State, after: State, running: Tensor) -> State:
    return reset_rows(state, after, running)


def _can_be_averaged(name: str, state: State) -> bool:
    """Whether a state is made of numbers alone.

    Raises:
        ValueError: a part of it is changed in place.
    """
    numbers = True
    for _, leaf in state_leaves(state):
        if not isinstance(leaf, Tensor):
            raise ValueError(
                f"option 'core' of core 'act' is {name!r}: its memory is changed in place, and rows that have halted "
                "would go on writing while others think: choose a dense core, such as 'dam' or 'dnc'"
            )
        numbers = numbers and (leaf.is_floating_point() or leaf.is_complex())
    return numbers


CORES.register("act", ACT)  # here, as it is made of the others
