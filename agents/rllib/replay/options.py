"""What DQN takes beside what all algorithms take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class DQNOptions:
    """What DQN takes: of Mnih et al. 2015, van Hasselt et al. 2016, Schaul et al. 2016 and Kapturowski et al. 2019.

    Attributes:
        double: whether the network of now chooses the action that the target network values.
        dueling: whether a state's value is learned apart from what each action adds to it.
        n_step: steps of rewards in each target; at least 1.
        replay_capacity: environment steps that are kept; at least 1.
        replay_after: environment steps before the first update; at least 1.
        replay_sequences: sequences of each update, of --max-seq-len steps each (40 by default); at least 1.
        replay_ratio: times that a step is learned from, on average; more than 0.
        fragment: steps that each environment takes between two rounds of updates; at least 1.
        burn_in: steps that the memory is run for before those that are learned, so that it is brought from where the
            agent of then had it to where the agent of now would; at least 0, and none by default.
        replay_from: what the memory begins a sequence with: the state that it had when the sequence was sampled
            (stored), or that of the episode's start, from where all is run again (start): exact, and slow where
            episodes are long.
        priority: exponent of the priorities by which sequences are drawn, from 0, which draws all alike, to 1.
        priority_correction: exponent of the weights that make up for that in the loss, from 0 to 1.
        priority_max: share of a sequence's largest error in its priority, from 0 to 1; the rest is its mean error.
        value_rescaling: whether values are learned on a scale on which large ones are smaller, for rewards of very
            different sizes.
        target_every: environment steps after which the target network follows; at least 1.
        target_share: how far it follows then, from 0 to 1.
        loss: what an error in a value costs: its square (mse), or the square up to 1 and evenly more beyond (huber).
        epsilon: probability of an action at random, in the beginning; from 0 to 1.
        epsilon_end: that probability from the step on that epsilon_steps says; from 0 to 1.
        epsilon_steps: environment steps in which it gets there, on a straight line; at least 1.
        hindsight: whether sequences are also replayed as if their goal had been something that they reached: later on
            (future), at the end (final), or anywhere in the episode (episode); for environments with goals, and the
            memory is run from the episode's start then.
        hindsight_goals: sequences that are replayed so for each with its own goal; at least 1.
        save_replay: whether checkpoints hold what was sampled; without it a run that is resumed samples replay_after
            steps again before it learns on.

    Raises:
        ValueError: a number lies outside of its bounds.
    """

    double: bool = True
    dueling: bool = True
    n_step: int = 3
    replay_capacity: int = 100_000
    replay_after: int = 2000
    replay_sequences: int = 32
    replay_ratio: float = 8.0
    fragment: int = 16
    burn_in: int | None = None
    replay_from: Literal["stored", "start"] = "stored"
    priority: float = 0.6
    priority_correction: float = 0.4
    priority_max: float = 0.9
    value_rescaling: bool = False
    target_every: int = 1000
    target_share: float = 1.0
    loss: Literal["huber", "mse"] = "huber"
    epsilon: float = 1.0
    epsilon_end: float = 0.05
    epsilon_steps: int = 10_000
    hindsight: Literal["none", "future", "final", "episode"] = "none"
    hindsight_goals: int = 4
    save_replay: bool = True

    def __post_init__(self):
        """Refuse numbers outside of their bounds."""
        least = {"n_step": 1, "replay_capacity": 1, "replay_after": 1, "replay_sequences": 1, "fragment": 1}
        least |= {"target_every": 1, "epsilon_steps": 1, "hindsight_goals": 1}
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise ValueError(f"{name} is {getattr(self, name)}: expected at least {bound}")
        if self.burn_in is not None and (not isinstance(self.burn_in, int) or self.burn_in < 0):
            raise ValueError(f"burn_in is {self.burn_in!r}: expected a whole number of at least 0, or None")
        shares = ("priority", "priority_correction", "priority_max", "target_share", "epsilon", "epsilon_end")
        for name in shares:
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}: expected a number from 0 to 1")
        if not self.replay_ratio > 0:
            raise ValueError(f"replay_ratio is {self.replay_ratio}: expected more than 0")
        choices: dict[str, tuple[str, ...]] = {"replay_from": ("stored", "start"), "loss": ("huber", "mse")}
        choices["hindsight"] = ("none", "future", "final", "episode")
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise ValueError(f"{name} is {getattr(self, name)!r}: expected one of {', '.join(known)}")
        if self.replay_after > self.replay_capacity:
            raise ValueError(
                f"replay_after is {self.replay_after} and replay_capacity {self.replay_capacity}: expected no more "
                "steps before the first update than are kept"
            )

    def training(self, learners: int) -> dict[str, Any]:
        """By the names of ``MemoryDQNConfig.training``."""
        return {
            "double_q": self.double,
            "dueling": self.dueling,
            "n_step": self.n_step,
            "replay_capacity": self.replay_capacity,
            "num_steps_sampled_before_learning_starts": self.replay_after,
            "replay_sequences": self.replay_sequences,
            "replay_ratio": self.replay_ratio,
            "fragment": self.fragment,
            "burn_in": self.burn_in or 0,
            "replay_from_start": self.replay_from == "start",
            "priority_alpha": self.priority,
            "priority_beta": self.priority_correction,
            "priority_max": self.priority_max,
            "value_rescaling": self.value_rescaling,
            "target_network_update_freq": self.target_every,
            "tau": self.target_share,
            "td_error_loss_fn": self.loss,
            "epsilon": [[0, self.epsilon], [self.epsilon_steps, self.epsilon_end]],
            "hindsight": self.hindsight,
            "hindsight_goals": self.hindsight_goals,
            "store_buffer_in_checkpoints": self.save_replay,
        }
