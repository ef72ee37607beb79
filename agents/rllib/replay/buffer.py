"""RLlib's replay buffer for memory agents: fragments of episodes in, sequences with the state before them out.

Legend: L steps of a sequence, n steps of a return.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from ray.rllib.env.single_agent_episode import SingleAgentEpisode
from ray.rllib.env.utils.infinite_lookback_buffer import InfiniteLookbackBuffer
from ray.rllib.utils.replay_buffers.episode_replay_buffer import EpisodeReplayBuffer
from ray.rllib.utils.replay_buffers.prioritized_episode_buffer import PrioritizedEpisodeReplayBuffer

from lukasa.agents.rllib.replay.fragments import Fragment, fragment_of
from lukasa.agents.rllib.replay.packing import packed, unpacked
from lukasa.agents.rllib.replay.sequences import Row, Sequence, Stretch, from_the_start, row_of, windows

LEAST_PRIORITY = 1e-6
"""So that a sequence whose values are right can still be drawn."""


@dataclass(frozen=True)
class ReplayPlan:
    """How sequences are cut and drawn.

    Attributes:
        length: L, steps that are learned.
        burn_in: steps that the memory is run for before them.
        from_start: whether the memory is always run from the start of the episode, rather than from a state that a
            runner kept.
        alpha: how far priorities decide what is drawn, from 0 for not at all.
        beta: how far the loss makes up for it.
    """

    length: int
    burn_in: int = 0
    from_start: bool = False
    alpha: float = 0.0
    beta: float = 0.4


class SequenceReplayBuffer(PrioritizedEpisodeReplayBuffer):
    """Fragments of episodes by the step, oldest forgotten first; draws sequences of them, by priority.

    RLlib's own prioritised buffer draws single steps. This one keeps its interface, and none of its storage.

    Args:
        capacity: steps.
        plan: how sequences are cut and drawn.
        seed: of what is drawn.
    """

    def __init__(self, capacity: int, *, plan: ReplayPlan, seed: Any = None):
        EpisodeReplayBuffer.__init__(self, capacity=capacity, batch_length_T=plan.length)
        self.plan = plan
        self.rng = np.random.default_rng(seed)
        self._fragments: deque[tuple[Fragment, Stretch]] = deque()
        self._open: dict[str, Stretch] = {}
        self._sequences: dict[int, Sequence] = {}
        self._drawn = 0
        self._numbers = 0
        self._largest = 1.0

    def add(self, episodes: Any, weight: float | None = None) -> None:
        """Take in fragments of one runner or several, in any order but that of each episode.

        Args:
            episodes: one or many.
            weight: priority of their sequences; that of the largest so far when None.

        Raises:
            ValueError: one continues an episode, and the memory's state before its first step is not known.
        """
        for episode in [episodes] if isinstance(episodes, SingleAgentEpisode) else episodes:
            if len(episode):
                self.add_fragment(fragment_of(episode), weight)

    def add_fragment(self, fragment: Fragment, weight: float | None = None) -> None:
        """Take in what a runner sampled of one episode at a time."""
        stretch = self._open.get(fragment.episode)
        if stretch is None or stretch.end != fragment.start:
            stretch = self._open[fragment.episode] = Stretch()
        stretch.fragments.append(fragment)
        if fragment.over:
            del self._open[fragment.episode]
        self._fragments.append((fragment, stretch))
        self._num_timesteps += len(fragment.rewards)
        self._num_timesteps_added += len(fragment.rewards)
        for known, first, last in self._cut(fragment, stretch):
            number, self._numbers = self._numbers, self._numbers + 1
            found = Sequence(stretch, number, known, first, last, self._largest if weight is None else weight)
            self._sequences[number] = found
            stretch.sequences.append(found)
        self._forget()

    def _cut(self, fragment: Fragment, stretch: Stretch) -> Iterable[tuple[int, int, int]]:
        """The sequences that a fragment adds."""
        if not self.plan.from_start:
            return windows(fragment.state_steps(), fragment.end, length=self.plan.length, burn_in=self.plan.burn_in)
        if stretch.fragments[0].start:
            return []  # nobody will know how it began
        every = from_the_start(fragment.end, length=self.plan.length)
        return [one for one in every if one[1] >= fragment.start]

    def _forget(self) -> None:
        """Let the oldest fragments go that are too many; the last one stays, however long."""
        while self._num_timesteps > self.capacity and len(self._fragments) > 1:
            fragment, stretch = self._fragments.popleft()
            self._num_timesteps -= len(fragment.rewards)
            stretch.fragments.remove(fragment)
            if not stretch.fragments and self._open.get(fragment.episode) is stretch:
                del self._open[fragment.episode]
            for sequence in [one for one in stretch.sequences if one.known < fragment.end]:
                stretch.sequences.remove(sequence)
                del self._sequences[sequence.number]

    def sample(self, num_items: int | None = None, *, beta: float | None = None, **kwargs: Any) -> Any:
        """Draw sequences.

        Args:
            num_items: steps to learn; as many sequences as that is, at least one.
            beta: in place of the plan's.
            **kwargs: what RLlib's buffers take: ``n_step`` counts, all else is in the plan.

        Returns:
            Episodes, each a sequence, whose ``custom_data`` holds its ``Row`` under ``ROW``.
        """
        count = max(1, (num_items or self.batch_size_B * self.plan.length) // self.plan.length)
        drawn, weights = self.draw(count, self.plan.beta if beta is None else beta)
        further = int(kwargs.get("n_step") or 1)
        self.sampled_timesteps += count * self.plan.length
        return [
            episode_of(self.row(sequence, further), sequence, weight)
            for sequence, weight in zip(drawn, weights, strict=True)
        ]

    def row(self, sequence: Sequence, further: int) -> Row:
        """The steps of a sequence, and up to so many more."""
        return row_of(sequence, further=further)

    def draw(self, count: int, beta: float) -> tuple[list[Sequence], np.ndarray]:
        """Sequences by priority and by how much there is to learn, and the weights that make up for the priority.

        Args:
            count: how many, with replacement.
            beta: 0 makes up for nothing, 1 for all of it.

        Raises:
            ValueError: nothing that is here can be replayed.
        """
        sequences = list(self._sequences.values())
        priorities = np.array([one.priority for one in sequences]) ** self.plan.alpha
        mass = priorities * np.array([one.steps for one in sequences])  # nothing of those whose steps are to come
        if not mass.any():
            raise ValueError(
                f"none of the {self._num_timesteps:,} steps in the replay can be learned from: its capacity of "
                f"{self.capacity:,} holds no more than what comes before them, the start of the episode or "
                f"{self.plan.burn_in} steps of burn-in; take a larger replay_capacity"
            )
        edges, last = mass.cumsum(), int(np.flatnonzero(mass)[-1])
        places = np.searchsorted(edges, self.rng.random(count) * edges[-1], side="right").clip(max=last)
        weights = priorities[places] ** -beta
        return [sequences[place] for place in places], (weights / weights.max()).astype(np.float32)

    def update_priorities(self, priorities: Any, module_id: Any = None) -> None:
        """Take over how wrong the values of sequences were.

        Args:
            priorities: [any, 2], the number of each sequence and its priority; those forgotten since are left out.
            module_id: which agent's, of one.
        """
        for number, priority in np.asarray(priorities, np.float64):
            found = self._sequences.get(int(number))
            if found is not None:
                found.priority = max(float(priority), LEAST_PRIORITY)
                self._largest = max(self._largest, found.priority)

    def get_num_timesteps(self, module_id: Any = None) -> int:
        """Steps that are here."""
        return self._num_timesteps

    def get_num_episodes(self, module_id: Any = None) -> int:
        """Episodes of which a part is here."""
        return len({stretch.fragments[0].episode for _, stretch in self._fragments})

    def get_state(self) -> dict[str, Any]:
        """All of it, as arrays and plain values."""
        return {
            "fragments": packed([fragment.to_state() for fragment, _ in self._fragments]),
            "priorities": [
                (one.stretch.fragments[0].episode, one.known, one.first, one.priority)
                for one in self._sequences.values()
            ],
            "largest": self._largest,
            "added": self._num_timesteps_added,
            "sampled": self.sampled_timesteps,
            "random": self.rng.bit_generator.state,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from there; what is here is forgotten."""
        self._fragments.clear()
        self._open, self._sequences, self._num_timesteps = {}, {}, 0
        for one in unpacked(state["fragments"]):
            self.add_fragment(Fragment(**one))
        kept = {(episode, known, first): priority for episode, known, first, priority in state["priorities"]}
        for one in self._sequences.values():
            key = (one.stretch.fragments[0].episode, one.known, one.first)
            one.priority = kept.get(key, one.priority)
        self._largest, self._num_timesteps_added = state["largest"], state["added"]
        self.sampled_timesteps = state["sampled"]
        self.rng.bit_generator.state = state["random"]


ROW, NUMBER, WEIGHT = "replayed_row", "replayed_number", "replayed_weight"
"""Keys of the ``custom_data`` of an episode that was drawn: what ``episode_of`` was given."""


def episode_of(row: Row, sequence: Sequence, weight: float) -> SingleAgentEpisode:
    """A sequence as RLlib's learners take it."""
    episode = SingleAgentEpisode(
        id_=f"{sequence.stretch.fragments[0].episode}:{sequence.number}",
        observations=InfiniteLookbackBuffer(row.observations),
        actions=InfiniteLookbackBuffer(row.actions),
        rewards=InfiniteLookbackBuffer(row.rewards),
        infos=InfiniteLookbackBuffer([{}] * (len(row.rewards) + 1)),
        terminated=row.terminated,
        t_started=row.start,
        len_lookback_buffer=0,
    )
    episode.custom_data.update({ROW: row, NUMBER: sequence.number, WEIGHT: float(weight)})
    return episode
