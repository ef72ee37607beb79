"""Recipes of agents that learn from what they sampled long ago."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from lukasa.launch.kinds.rl.experiment import RLExperiment


def repeat_previous_dqn() -> RLExperiment:
    """A GRU recalls the card of 3 steps ago, by the values of its answers, from what it replays."""
    return replace(
        _replayed(env="popgym-RepeatPreviousEasy-v0", max_seq_len=26, gamma=0.9),
        learning={"n_step": 3, "burn_in": 0, "fragment": 17, "replay_ratio": 16.0},
        stop_at=0.9,
    )


def repeat_previous_dqn_burn_in() -> RLExperiment:
    """A GRU recalls the card of 3 steps ago by DQN, each replay after 20 steps of burn-in."""
    return _burnt_in(repeat_previous_dqn(), 20)


def tmaze_dqn() -> RLExperiment:
    """A GRU remembers the cue at the start of a corridor until the junction, by DQN."""
    return replace(
        _replayed(env="TMaze-L50-v0", max_seq_len=60, gamma=0.99),
        learning={"n_step": 5, "burn_in": 0, "fragment": 30, "replay_ratio": 16.0, "epsilon_steps": 40_000},
        steps=400_000,
        stop_at=0.98,
    )


def tmaze_dqn_burn_in() -> RLExperiment:
    """A GRU remembers the cue at the start of a corridor by DQN, each replay after 40 steps of burn-in."""
    return _burnt_in(tmaze_dqn(), 40)


def _replayed(**settings: Any) -> RLExperiment:
    base = RLExperiment(algorithm="dqn", core="gru", memory={"size": 64}, envs_per_runner=16, lr=1e-3, clip_norm=10.0)
    return replace(base, **settings)


def _burnt_in(experiment: RLExperiment, steps: int) -> RLExperiment:
    return replace(experiment, learning={**experiment.learning, "burn_in": steps})


def bit_flipping_hindsight() -> RLExperiment:
    """Flipping 10 bits into the order of a goal, with hindsight (Andrychowicz et al. 2017)."""
    return replace(
        _replayed(env="BitFlipping-N10-v0", max_seq_len=10, gamma=0.98),
        core="feedforward",
        memory={"size": 128},
        embedding=128,
        output=128,
        steps=16_000,
        learning={
            "hindsight": "future",
            "n_step": 1,
            "fragment": 10,
            "target_every": 200,
            "epsilon_steps": 5000,
            "replay_ratio": 100.0,
            "replay_sequences": 64,
            "replay_after": 500,
            "priority": 0.0,
        },
    )


def bit_flipping_without_hindsight() -> RLExperiment:
    """Flipping 10 bits into the order of a goal without hindsight: stays near chance."""
    with_it = bit_flipping_hindsight()
    return replace(with_it, learning={**with_it.learning, "hindsight": "none"})


def cart_pole_dqn() -> RLExperiment:
    """A pole on a cart, balanced by DQN without a memory: short sequences, and many updates."""
    return replace(
        _replayed(env="CartPole-v1", max_seq_len=8, gamma=0.99),
        core="feedforward",
        memory={"size": 128},
        envs_per_runner=8,
        steps=50_000,
        stop_at=475.0,
        learning={"fragment": 8, "replay_sequences": 8},
    )


def cart_pole_nec() -> RLExperiment:
    """A pole on a cart, balanced by Neural Episodic Control (Pritzel et al. 2017)."""
    return replace(_episodic(), env="CartPole-v1", steps=50_000, stop_at=475.0)


def key_door_nec() -> RLExperiment:
    """Key, door and goal in a small grid, by Neural Episodic Control (Pritzel et al. 2017)."""
    return replace(_episodic(), env="KeyDoor-S4-v0", steps=30_000, stop_at=0.98)


def _episodic() -> RLExperiment:
    """Small steps of the core, and keys that stay where they are.

    With the default rates keys drift from what the core makes of an
    observation, and a grid is not learned (results/episodic_cpu2_202611.md).
    """
    return RLExperiment(algorithm="nec", core="feedforward", lr=1e-4, learning={"key_rate": 0.0})


REPLAY_RECIPES: tuple[Callable[[], RLExperiment], ...] = (
    repeat_previous_dqn,
    repeat_previous_dqn_burn_in,
    tmaze_dqn,
    tmaze_dqn_burn_in,
    bit_flipping_hindsight,
    bit_flipping_without_hindsight,
    cart_pole_dqn,
    cart_pole_nec,
    key_door_nec,
)
"""All of them."""
