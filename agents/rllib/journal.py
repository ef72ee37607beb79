"""Where sparse memories of an episode's fragment are kept while it travels to a learner.

Legend: T steps of the fragment, C slots chosen in one step, U slots written, W word size.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from ray.rllib.env.single_agent_episode import SingleAgentEpisode
from torch import Tensor

from lukasa import memory
from lukasa.agents.rllib.slot_choices import UNKNOWN, StepRecord
from lukasa.agents.rllib.sparse_states import map_parts
from lukasa.agents.rllib.state_log import PackedState, StateLog
from lukasa.memory.sparse.links import SparseLinks

Episode = TypeVar("Episode")
TABLES = (".rows", ".names", ".logs", ".survival")
"""How the names of arrays end that have one entry for each slot written, [U, ...]."""


class LiveState:
    """A runner's state of all of its episodes, in which sparse memories live, and how the step before led to it.

    Attributes:
        state: the core's state; the next step changes its memories in place.
        step: what the step before did to each sparse memory, by path; empty at first.
    """

    def __init__(self, state: memory.State, step: Mapping[str, StepRecord] | None = None):
        self.state = state
        self.step = step or {}

    @cached_property
    def tensors(self) -> dict[str, Tensor]:
        """All of it; costs what is written."""
        return memory.state_to_dict(self.state)

    def whole(self, row: int) -> PackedState:
        """A copy of one row."""
        packed = {name: _copied(tensor[row]) for name, tensor in self.tensors.items()}
        for name, array in packed.items():
            if name.endswith(TABLES):
                packed[name] = array[: packed[f"{name.rpartition('.')[0]}.used"]].copy()
            elif name.endswith(".order"):
                packed[name] = array[array >= 0].astype(np.int32)
        return packed

    def changes(self, row: int, steps: Sequence[Mapping[str, StepRecord]]) -> PackedState:
        """What some steps changed in one row: the rows written, the slots accessed, and all that is small."""
        packed: PackedState = {}

        def pack(path: str, part: Any) -> None:
            if isinstance(part, Tensor):
                packed[path] = _copied(part[row])
                return
            records = [step[path] for step in steps]
            changed = np.unique(np.concatenate([record.changed[row] for record in records]))
            if isinstance(part, SparseLinks):
                used, small, tables = _links(part)
            else:
                used, small, tables = part.used, {}, {"rows": part.store.view()}
                packed[f"{path}.accessed"] = last_accesses(e[row] for record in records for e in record.accessed)
            changed = changed[(changed >= 0) & (changed < int(used[row]))]
            packed[f"{path}.changed"], packed[f"{path}.used"] = changed, _copied(used[row])
            packed.update({f"{path}.{name}": _copied(tensor[row]) for name, tensor in small.items()})
            for name, table in tables.items():
                packed[f"{path}.{name}"] = _copied(table[row].index_select(0, used.new_tensor(changed)))

        map_parts(pack, self.state)
        return packed


def _links(links: SparseLinks) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
    """The parts of ``links.tensors()``: used, small tensors [B, ...], tables [B, U or more, ...]."""
    tables = links.tables
    recent_slots, recent_weights = tables.recent
    views = {name: tables.view(getattr(tables, name)) for name in ("names", "logs", "survival")}
    return tables.used, {"recent_slots": recent_slots, "recent_weights": recent_weights}, views


def _copied(tensor: Tensor) -> np.ndarray:
    return np.array(tensor.detach().cpu().numpy())


class MemoryJournal:
    """What a learner needs of one episode fragment to have the agent's memory at the start of each chunk.

    That is the whole state at the fragment's first step where the episode began earlier; at the start of each later
    chunk, what changed since the one before; and the slots chosen at every step. None of it grows with N.
    """

    KEY = StateLog.KEY

    def __init__(self):
        self.keyframes: dict[int, PackedState] = {}
        self.changes: dict[int, PackedState] = {}
        self._first_step = 0
        self._row = 0
        self._steps: list[Mapping[str, StepRecord]] = []
        self._kept = 0
        self._live: tuple[int, LiveState] | None = None
        self._choices: dict[str, np.ndarray] | None = None

    @classmethod
    def of(cls, episode: SingleAgentEpisode) -> MemoryJournal:
        """The journal of an episode, made if it has none."""
        return episode.custom_data.setdefault(cls.KEY, cls())

    def note(self, time: int, step: Mapping[str, StepRecord], row: int) -> None:
        """Note by reference what the core did at step ``time``; ``row`` is this episode's, all along."""
        if not self._steps:
            self._first_step, self._row = time, row
        self._steps.append(step)

    def follow(self, time: int, live: LiveState, row: int) -> None:
        """Remember by reference which state comes before step ``time``."""
        self._live, self._row = (time, live), row

    def keep(self) -> None:
        """Pack what changed since the chunk before; a fragment's first chunk needs none."""
        if self._live is None or not self._steps or self._live[0] in self.changes:
            return
        time, live = self._live
        self.changes[time] = live.changes(self._row, self._steps[self._kept :])
        self._kept = len(self._steps)

    def states(self, times: Iterable[int], initial: PackedState) -> list[PackedState]:
        """The states before some steps, one chunk after the other from the fragment's first.

        Args:
            times: steps of the episode.
            initial: the state at an episode's start.

        Raises:
            RuntimeError: one of them was not kept.
        """
        states: list[PackedState] = []
        for time in times:
            if time == 0:
                states.append(initial)
            elif time in self.keyframes:
                states.append(self.keyframes[time])
            elif time in self.changes and states:
                states.append(changed(states[-1], self.changes[time]))
            else:
                raise RuntimeError(
                    f"an episode fragment came without the memory state of its step {time} (it has those of "
                    f"{sorted(self.keyframes | self.changes)}): it was sliced or sampled without the memory "
                    "connectors; use MemoryPPOConfig, MemoryAPPOConfig or MemoryIMPALAConfig for runners and learners"
                )
        return states

    def choices(self, time: int, steps: int) -> dict[str, np.ndarray]:
        """The slots chosen in the steps from ``time`` on, int32 [steps * C] as ``path.choices``; then ``UNKNOWN``."""
        chosen = {}
        for path, all_choices in self._own_choices().items():
            known = all_choices[time - self._first_step :][:steps]
            missing = ((0, steps - len(known)), (0, 0))
            chosen[f"{path}.choices"] = np.pad(known, missing, constant_values=UNKNOWN).reshape(-1)
        return chosen

    def _own_choices(self) -> dict[str, np.ndarray]:
        if self._choices is not None:
            return self._choices
        paths = [path for path, record in self._steps[0].items() if record.choices.size] if self._steps else []
        return {path: np.stack([step[path].choices[self._row] for step in self._steps]) for path in paths}

    def __deepcopy__(self, memo: dict[int, Any]) -> MemoryJournal:
        # As in StateLog: the one deep copy is the cut, after which the successor does the following.
        successor = MemoryJournal()
        if self._live is not None and self._live[0] > 0:
            successor.keyframes[self._live[0]] = self._live[1].whole(self._row)
        successor._live, self._live = self._live, None
        successor._row = self._row
        return successor

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_choices": self._own_choices(), "_live": None, "_steps": []}


def changed(state: PackedState, changes: PackedState) -> PackedState:
    """A state after the changes that ``LiveState.changes`` packed."""
    after = {}
    for name, old in state.items():
        path = name.rpartition(".")[0]
        if name.endswith(TABLES):
            after[name] = np.zeros((changes[f"{path}.used"], *old.shape[1:]), old.dtype)
            after[name][: len(old)] = old
            after[name][changes[f"{path}.changed"]] = changes[name]
        elif name.endswith(".order"):
            accessed = changes[f"{path}.accessed"]
            after[name] = np.concatenate([old[~np.isin(old, accessed)], accessed])
        elif name in changes:
            after[name] = changes[name]
    return after


def last_accesses(events: Iterable[np.ndarray]) -> np.ndarray:
    """Slots from least to most recently accessed, int32; within one event the lowest is the oldest, -1 is nothing."""
    newest_first = np.concatenate([np.unique(event[event >= 0]) for event in events] or [np.empty(0, np.int32)])[::-1]
    _, places = np.unique(newest_first, return_index=True)
    return newest_first[np.sort(places)][::-1].astype(np.int32)


def padded(rebuilt: list[tuple[Episode, list[PackedState]]]) -> list[tuple[Episode, list[PackedState]]]:
    """States of all episodes of a batch, whose memories all get as many rows as the fullest.

    Numbers of 64 bits go on as whole numbers of the same bits: RLlib would round them to 32 in a batch.
    """
    states = [state for _, states in rebuilt for state in states]
    longest = {
        name: max(len(state[name]) for state in states) for name in states[0] if name.endswith((*TABLES, ".order"))
    }
    return [(episode, [_filled(state, longest) for state in states]) for episode, states in rebuilt]


def _filled(state: PackedState, longest: dict[str, int]) -> PackedState:
    """Zeros behind the slots that are used, -1 behind the end of the order."""
    full = dict(state)
    for name, length in longest.items():
        widths = ((0, length - len(state[name])), *((0, 0),) * (state[name].ndim - 1))
        full[name] = np.pad(state[name], widths, constant_values=-1 if name.endswith(".order") else 0)
    return {name: array.view(np.int64) if array.dtype == np.float64 else array for name, array in full.items()}
