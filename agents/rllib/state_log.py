"""Where the memory states of an episode's fragment are kept while it travels to a learner."""

from __future__ import annotations

from typing import Any

import numpy as np
from ray.rllib.env.single_agent_episode import SingleAgentEpisode
from torch import Tensor

PackedState = dict[str, np.ndarray]
"""One row of a state: the tensors of ``memory.state_to_dict`` without their batch axis."""


class StateLog:
    """The states of one episode fragment that a learner will need, by the episode's own time step.

    A runner follows the live state of every episode by reference and keeps (packs) it only where a chunk of
    ``max_seq_len`` steps begins. When RLlib cuts an episode in two it copies ``episode.custom_data`` into the
    successor; the copy of a log then begins with the state of that very step, which no other event would report.
    """

    KEY = "memory_states"

    def __init__(self):
        self.keyframes: dict[int, PackedState] = {}
        self._live: tuple[int, dict[str, Tensor], int] | None = None

    @classmethod
    def of(cls, episode: SingleAgentEpisode) -> StateLog:
        """The log of an episode, made if it has none."""
        return episode.custom_data.setdefault(cls.KEY, cls())

    def follow(self, time: int, states: dict[str, Tensor], row: int) -> None:
        """Remember by reference which state comes before step ``time``.

        Args:
            time: step of the episode, 0 at its start.
            states: tensors [B, ...]; nobody may change them in place.
            row: this episode's row.
        """
        self._live = (time, states, row)

    def keep(self) -> None:
        """Pack the state that is followed now; episodes begin with the core's own initial state, which needs none."""
        if self._live is None:
            return
        time, states, row = self._live
        if time > 0 and time not in self.keyframes:
            self.keyframes[time] = {name: t[row].detach().cpu().numpy().copy() for name, t in states.items()}

    def at(self, time: int) -> PackedState:
        """The state before step ``time``, which is not the episode's first.

        Raises:
            RuntimeError: it was not kept.
        """
        if time not in self.keyframes:
            raise RuntimeError(
                f"an episode fragment came without the memory state of its step {time} "
                f"(it has those of {sorted(self.keyframes)}): it was sliced or sampled without the memory connectors; "
                "use MemoryPPOConfig, MemoryAPPOConfig or MemoryIMPALAConfig for runners and learners alike"
            )
        return self.keyframes[time]

    def __deepcopy__(self, memo: dict[int, Any]) -> StateLog:
        # The one deep copy that RLlib makes is the cut; from there on the successor does the following. Letting go of
        # the live state here keeps old fragments, held back for their episode's metrics, from pinning every batch.
        successor = StateLog()
        successor._live, self._live = self._live, None
        successor.keep()
        return successor

    def __getstate__(self) -> dict[str, Any]:
        return {"keyframes": self.keyframes, "_live": None}
