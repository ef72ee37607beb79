"""Recipes of ``lukasa train rl`` on worlds of cells: which memory finds the goal, and in worlds longer than it knows.

Test an agent of short corridors in long ones by ``lukasa eval RUN --env-settings lengths 40``, one of small mazes in
large ones by ``--env-settings sizes '[13,15]' mazes test``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lukasa.launch.kinds.rl.experiment import RLExperiment

WINDOW = {"length": 64, "size": 64}
"""Observations kept: more than the way through a corridor of 40 cells takes."""


def _found(env: str, core: str, memory: Mapping[str, Any], **settings: Any) -> RLExperiment:
    """An experiment on the numbers that the recipes were tuned with; those of ``RLExperiment`` may move."""
    base = RLExperiment(
        env=env,
        core=core,
        memory=memory,
        envs_per_runner=32,
        batch_size=4096,
        minibatch_size=1024,
        epochs=8,
        lr=1e-3,
        gamma=0.97,
        gae_lambda=0.95,
        entropy=0.01,
        clip=0.2,
        kl_target=0.03,
        value_weight=0.25,
        value_clip=None,
        clip_norm=0.5,
        embedding=64,
        output=64,
        max_seq_len=64,
        normalize_observations=True,
        normalize_returns=True,
        orthogonal=True,
    )
    return replace(base, **settings)


def i_maze_mqn() -> RLExperiment:
    """An MQN sees a colour at one end of a corridor and enters the goal it means at the other (Oh et al. 2016)."""
    # An entropy bonus that goes leaves an agent that need not draw its actions to get on.
    return _found("IMaze-v0", "mqn", WINDOW, steps=400_000, entropy_end=0.0)


def i_maze_rmqn() -> RLExperiment:
    """An RMQN in the I-maze: what it seeks in its window depends on all that it saw."""
    # Recurrent agents find the goals later: the entropy bonus has to last until they do.
    return replace(i_maze_mqn(), core="rmqn", steps=1_000_000)


def i_maze_frmqn() -> RLExperiment:
    """An FRMQN in the I-maze: what it seeks in its window also depends on what it found there."""
    return replace(i_maze_rmqn(), core="frmqn")


def i_maze_gru() -> RLExperiment:
    """A GRU in the I-maze: a recurrent state, and no window."""
    return replace(i_maze_rmqn(), core="gru", memory={"size": 64})


def i_maze_feedforward() -> RLExperiment:
    """The I-maze without a memory: no better than chance."""
    return replace(i_maze_mqn(), core="feedforward", memory={"size": 64})


def goal_search_neural_map() -> RLExperiment:
    """A neural map of 8 by 8 cells finds the goal that a cue means in unknown mazes (Parisotto et al. 2018)."""
    return _found(
        "GoalSearch-S7-11-v0",
        "neural_map",
        {"height": 8, "width": 8, "word_size": 32, "filters": 8, "layers": 2},
        env_settings={"position": True},
        steps=3_000_000,
        envs_per_runner=64,
        batch_size=8192,
        minibatch_size=2048,
        epochs=4,
        gamma=0.98,
        entropy_end=0.001,
    )


def goal_search_egocentric_map() -> RLExperiment:
    """A neural map that moves beneath the agent finds the goal that a cue means in unknown mazes."""
    recipe = goal_search_neural_map()
    return replace(recipe, memory={**recipe.memory, "height": 15, "width": 15, "egocentric": True})


def goal_search_lstm() -> RLExperiment:
    """An LSTM that sees its position looks for the goal that a cue means in unknown mazes."""
    return replace(goal_search_neural_map(), core="lstm", memory={"size": 128})


def goal_search_mqn() -> RLExperiment:
    """An MQN that keeps 32 observations looks for the goal that a cue means in unknown mazes."""
    return replace(goal_search_neural_map(), core="mqn", memory={"length": 32, "size": 128})


GRID_RECIPES = (
    i_maze_mqn,
    i_maze_rmqn,
    i_maze_frmqn,
    i_maze_gru,
    i_maze_feedforward,
    goal_search_neural_map,
    goal_search_egocentric_map,
    goal_search_lstm,
    goal_search_mqn,
)
"""All of them."""
