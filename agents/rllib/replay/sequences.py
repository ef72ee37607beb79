"""Which sequences a buffer of fragments can replay, and what is in them.

A sequence is learned from a step on, for up to L steps. Before it lie steps that bring the memory there, from a state
that is known: the one that a runner kept, or the start of the episode. Together the sequences of an episode cover all
of its steps.

Legend: L steps of a sequence, n steps of a return.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tree

from lukasa.agents.rllib.replay.fragments import Fragment
from lukasa.agents.rllib.state_log import PackedState


@dataclass(eq=False)
class Stretch:
    """Fragments of one episode that follow one another without a gap.

    Attributes:
        fragments: in order; the earliest may be forgotten.
        sequences: that are parts of it.
    """

    fragments: list[Fragment] = field(default_factory=list)
    sequences: list[Sequence] = field(default_factory=list)

    @property
    def end(self) -> int:
        """Step of the episode behind the last one that is here."""
        return self.fragments[-1].end

    @property
    def over(self) -> bool:
        """Whether nothing will follow."""
        return self.fragments[-1].over


@dataclass(eq=False)
class Sequence:
    """A part of a stretch that can be replayed.

    Attributes:
        stretch: it is a part of.
        number: no other has.
        known: step before which the state is known; the memory is run from there.
        first: step that is learned first.
        last: no step from here on is learned; there may not be as many yet.
        priority: to the power of alpha, how likely it is drawn.
    """

    stretch: Stretch
    number: int
    known: int
    first: int
    last: int
    priority: float = 1.0

    @property
    def steps(self) -> int:
        """How many steps can be learned by now."""
        return max(0, min(self.last, self.stretch.end) - self.first)


def windows(known: list[int], end: int, *, length: int, burn_in: int) -> list[tuple[int, int, int]]:
    """The sequences that begin from some known states: (known, first, last) of each.

    From a kept state the memory is run for ``burn_in`` steps first; the start of an episode needs none, and what lies
    between it and the first sequence after a kept state is reached from there.

    Args:
        known: steps before which the state is known, in order.
        end: step behind those that the last of them serves.
        length: L.
        burn_in: steps.

    Example:
        >>> windows([0, 4], 8, length=4, burn_in=2)
        [(0, 0, 4), (0, 2, 6), (4, 6, 10)]
    """
    found = []
    for state, following in zip(known, [*known[1:], end], strict=True):
        begin = state + burn_in if state else 0
        firsts = [begin]
        if state == 0 and burn_in:
            firsts = sorted({*range(0, burn_in, length), burn_in})
        while firsts[-1] + length < following + burn_in:
            firsts.append(firsts[-1] + length)
        found += [(state, first, first + length) for first in firsts]
    return found


def from_the_start(end: int, *, length: int) -> list[tuple[int, int, int]]:
    """The sequences up to a step where the memory is always run from the start of the episode.

    Example:
        >>> from_the_start(5, length=4)
        [(0, 0, 4), (0, 4, 8)]
    """
    return [(0, first, first + length) for first in range(0, end, length)]


@dataclass
class Row:
    """The steps of a sequence, from the state that is known to the last observation that a return needs.

    Attributes:
        prefix: steps before the first that is learned.
        learned: steps that are learned.
        observations: [m + 1, ...].
        actions, rewards: [m, ...].
        terminated: whether the last observation ended the episode.
        before: action and reward before the first step; None at an episode's start, or where they are not known.
        start: step of the episode.
        state: before the first step; None at an episode's start.
        changes: of sparse memories since that state, one after the other.
        choices: int32 [m, C] by path.
    """

    prefix: int
    learned: int
    observations: Any
    actions: np.ndarray
    rewards: np.ndarray
    terminated: bool
    before: tuple[np.ndarray, np.ndarray] | None
    start: int
    state: PackedState | None
    changes: list[PackedState]
    choices: dict[str, np.ndarray]


def row_of(sequence: Sequence, *, further: int) -> Row:
    """The steps of a sequence.

    Args:
        sequence: with steps to learn.
        further: steps after those that are learned, for their returns; fewer where there are no more.
    """
    fragments, known = sequence.stretch.fragments, sequence.known
    last = min(sequence.last, sequence.stretch.end)
    end = min(last + further, sequence.stretch.end)
    parts = [one for one in fragments if one.start < end and one.end > known]
    home = parts[0]
    spans = [slice(max(known - one.start, 0), min(end, one.end) - one.start) for one in parts]
    taken = list(zip(parts, spans, strict=True))
    observations = [tree.map_structure(lambda leaf, s=span: leaf[s], one.observations) for one, span in taken]
    final = tree.map_structure(lambda leaf: leaf[spans[-1].stop][None], parts[-1].observations)
    state, changes = _state_before(home, known)
    return Row(
        prefix=sequence.first - known,
        learned=last - sequence.first,
        observations=tree.map_structure(lambda *steps: np.concatenate(steps), *observations, final),
        actions=np.concatenate([one.actions[span] for one, span in taken]),
        rewards=np.concatenate([one.rewards[span] for one, span in taken]),
        terminated=parts[-1].terminated and end == parts[-1].end,
        before=_step_before(home, known),
        start=known,
        state=state,
        changes=changes,
        choices={
            path: np.concatenate([one.choices[path][span] for one, span in taken if path in one.choices])
            for path in home.choices
        },
    )


def _state_before(home: Fragment, step: int) -> tuple[PackedState | None, list[PackedState]]:
    """A whole state and the changes that lead from it to the one before a step."""
    if step in home.keyframes:
        return home.keyframes[step], []
    base = home.keyframes.get(home.start)
    return base, [change for time, change in sorted(home.changes.items()) if time <= step]


def _step_before(home: Fragment, step: int) -> tuple[np.ndarray, np.ndarray] | None:
    if step == home.start:
        return home.before
    place = step - home.start
    return home.actions[place - 1 : place], home.rewards[place - 1 : place]
