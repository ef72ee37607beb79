"""Where the memory of each agent of an episode is kept while it acts, and while the episode travels to a learner.

An agent's state lives with the episode that the agent plays, under its id, so that no other agent can be given it:
not one of another episode, nor one that comes under a new id when this one has left.

Agents need not act at every step. One that acted and was shown nothing since has a step under way; RLlib counts it to
the fragment in which it ends, so that a fragment may begin with the state from before a step that was made long ago.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
from ray.rllib.env.multi_agent_episode import MultiAgentEpisode
from torch import Tensor

from lukasa.agents.rllib.journal import LiveState, MemoryJournal
from lukasa.agents.rllib.slot_choices import StepRecord
from lukasa.agents.rllib.state_log import PackedState, StateLog

Shown = dict[str, np.ndarray]
"""What an agent is shown of the step before, by column."""


class AgentLog(StateLog):
    """The states of one agent whose core is dense.

    Attributes:
        state: after the agent's last action: tensors [B, ...] and its row of them; None before its first.
        shown: of the step before the one that it makes now.
        first_shown: that of the first step of a fragment, where the agent acted before.
    """

    def __init__(self):
        super().__init__()
        self.state: tuple[dict[str, Tensor], int] | None = None
        self.shown: Shown = {}
        self.first_shown: Shown = {}

    @property
    def acts_on(self) -> bool:
        """Whether the agent may still act."""
        return self._live is not None

    def leave(self) -> None:
        """The agent is gone: what it still held goes with it."""
        self._live = self.state = None

    def __deepcopy__(self, memo: dict[int, Any]) -> AgentLog:
        # As in StateLog: the one deep copy is the cut, after which the successor does the following.
        successor = AgentLog()
        successor._live, self._live = self._live, None
        successor.state, self.state = self.state, None
        successor.shown = successor.first_shown = self.shown
        successor.keep()
        return successor

    def __getstate__(self) -> dict[str, Any]:
        return {"keyframes": self.keyframes, "_live": None, "state": None, "shown": {}, "first_shown": self.first_shown}


class AgentJournal(MemoryJournal):
    """What became of the sparse memory of one agent, which is a memory of one row.

    Attributes:
        state: the agent's memory; None before its first action.
        shown, first_shown: as in ``AgentLog``.
    """

    def __init__(self):
        super().__init__()
        self.state: LiveState | None = None
        self.shown: Shown = {}
        self.first_shown: Shown = {}
        self._before: PackedState | None = None
        self._noted = -1

    @property
    def acts_on(self) -> bool:
        """Whether the agent may still act."""
        return self._live is not None

    def leave(self) -> None:
        """The agent is gone: what it still held goes with it."""
        self._live = self.state = self._before = None

    def note(self, time: int, step: Mapping[str, StepRecord], row: int) -> None:
        """As ``MemoryJournal``'s."""
        super().note(time, step, row)
        self._noted = time

    def follow(self, time: int, live: Any, row: int) -> None:
        """As ``MemoryJournal``'s, with a copy: the step to come changes the memory in place, and may not end soon."""
        super().follow(time, live, row)
        self._before = None if time == 0 else live.whole(row)

    def __deepcopy__(self, memo: dict[int, Any]) -> AgentJournal:
        # As in MemoryJournal; a step that is under way is the successor's.
        successor = AgentJournal()
        if self._live is not None:
            time = self._live[0]
            if self._before is not None:
                successor.keyframes[time] = self._before
            if self._noted == time:
                successor.note(time, self._steps[-1], self._row)
        successor._live, self._live = self._live, None
        successor.state, self.state = self.state, None
        successor._before, self._before = self._before, None
        successor.shown = successor.first_shown = self.shown
        successor._row = self._row
        return successor

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "state": None, "shown": {}, "_before": None}


class AgentLogs(dict[Any, AgentLog | AgentJournal]):
    """The logs of an episode's agents, by their ids."""

    @classmethod
    def of(cls, episode: MultiAgentEpisode) -> AgentLogs:
        """Those of an episode, made if it has none."""
        return episode.custom_data.setdefault(StateLog.KEY, cls())

    def let_go(self, episode: MultiAgentEpisode, chunks: Mapping[Any, int]) -> None:
        """Let those of agents go that are gone, with the state that they left in where a chunk would begin.

        RLlib appends a step to each fragment for its bootstrap value, which is asked of that state.

        Args:
            episode: after a step of the environment.
            chunks: ``max_seq_len`` by policy.
        """
        for agent, log in self.items():
            played = episode.agent_episodes.get(agent)
            if played is not None and not played.is_done:
                continue
            if played is not None and log.state is not None and log.acts_on:
                left: Any = log.state if isinstance(log, AgentLog) else (log.state, 0)
                log.follow(played.t, *left)
                if (played.t - played.t_started) % chunks[played.module_id] == 0:
                    log.keep()
            log.leave()

    def __deepcopy__(self, memo: dict[int, Any]) -> AgentLogs:
        return AgentLogs((agent, copy.deepcopy(log, memo)) for agent, log in self.items() if log.acts_on)
