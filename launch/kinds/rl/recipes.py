"""Recipes of `lukasa train rl`: functions that return an experiment, named for what they train.

Every field of an experiment is an option of the command line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from lukasa.launch.kinds.rl.experiment import RLExperiment
from lukasa.launch.kinds.rl.grid_recipes import GRID_RECIPES
from lukasa.launch.kinds.rl.replay_recipes import REPLAY_RECIPES
from lukasa.launch.kinds.rl.tape_recipes import TAPE_RECIPES

MILLION = 1 << 20
TAPE = {"word_size": 16, "controller": "feedforward", "controller_size": 64, "initial_motion": "tape"}
"""An NTM that remembers by its memory alone, with heads that begin to step on slot by slot."""
SMALL_NTM = {"slots": 16, "word_size": 16, "controller_size": 64}


def _tuned(**settings: Any) -> RLExperiment:
    """An experiment on the numbers that the recipes were tuned with; those of ``RLExperiment`` may move.

    Args:
        **settings: what differs.
    """
    base = RLExperiment(
        envs_per_runner=16,
        batch_size=2048,
        minibatch_size=256,
        epochs=8,
        lr=1e-3,
        gamma=0.9,
        gae_lambda=0.9,
        entropy=0.0,
        clip=0.2,
        kl_target=0.01,
        value_weight=1.0,
        value_clip=None,
        clip_norm=0.5,
        embedding=64,
        output=64,
        normalize_observations=False,
        normalize_returns=False,
        orthogonal=False,
    )
    return replace(base, **settings)


def repeat_previous_medium_ntm() -> RLExperiment:
    """An NTM recalls the card of 31 steps ago, from its memory alone: what `make train` runs."""
    # A chunk is a whole episode of 103 steps, so that every one of them teaches where the read head begins.
    return _tuned(
        env="popgym-RepeatPreviousMedium-v0",
        core="ntm",
        memory={**TAPE, "slots": 48},
        envs_per_runner=32,
        batch_size=32 * 103,
        minibatch_size=8 * 103,
        epochs=6,
        lr=3e-3,
        clip=0.3,
        clip_norm=None,
        max_seq_len=104,
        stop_at=0.9,
    )


def repeat_previous_medium_gru() -> RLExperiment:
    """Recalling the card of 31 steps ago with a GRU, which does not learn it in this time."""
    return replace(repeat_previous_medium_ntm(), core="gru", memory={"size": 64})


def repeat_previous_medium_lstm() -> RLExperiment:
    """Recalling the card of 31 steps ago with an LSTM, which does not learn it in this time."""
    return replace(repeat_previous_medium_ntm(), core="lstm", memory={"size": 64})


def repeat_previous_ntm() -> RLExperiment:
    """An NTM recalls the card of 3 steps ago, from its memory alone."""
    return replace(_repeat_previous("ntm", {**TAPE, "slots": 16}), max_seq_len=52)


def repeat_previous_dnc() -> RLExperiment:
    """A DNC recalls the card of 3 steps ago."""
    return _repeat_previous("dnc", {"slots": 16, "word_size": 16, "read_heads": 1, "controller_size": 64})


def repeat_previous_sam() -> RLExperiment:
    """A SAM with a million slots recalls the card of 3 steps ago."""
    return _repeat_previous("sam", {"slots": MILLION, "word_size": 16, "heads": 1, "controller_size": 64})


def repeat_previous_gru() -> RLExperiment:
    """A GRU recalls the card of 3 steps ago."""
    return _repeat_previous("gru", {"size": 64})


def repeat_previous_lstm() -> RLExperiment:
    """An LSTM recalls the card of 3 steps ago."""
    return _repeat_previous("lstm", {"size": 64})


def repeat_previous_feedforward() -> RLExperiment:
    """Recalling the card of 3 steps ago without memory: stays near chance."""
    return _repeat_previous("feedforward", {"size": 64})


def _repeat_previous(core: str, memory: Mapping[str, Any]) -> RLExperiment:
    # A fragment is one episode of 51 steps and a chunk half of it, so that no row is mostly padding.
    return _tuned(
        env="popgym-RepeatPreviousEasy-v0",
        core=core,
        memory=memory,
        envs_per_runner=32,
        batch_size=32 * 51,
        minibatch_size=816,
        lr=3e-3,
        clip=0.3,
        clip_norm=None,
        max_seq_len=26,
        stop_at=0.9,
    )


def tmaze_ntm() -> RLExperiment:
    """An NTM remembers the cue at the start of a corridor until the junction."""
    return _tuned(
        env="TMaze-L50-v0",
        core="ntm",
        memory=SMALL_NTM,
        steps=400_000,
        stop_at=0.98,
        batch_size=16 * 208,  # fragments of 208 steps: few episodes are cut between cue and junction
        minibatch_size=512,
        gamma=0.99,
        gae_lambda=0.95,
        max_seq_len=104,
        entropy=0.01,
    )


def tmaze_sam() -> RLExperiment:
    """A SAM with a million slots remembers the cue at the start of a corridor until the junction."""
    memory = {"slots": MILLION, "word_size": 16, "heads": 1, "controller_size": 64}
    return replace(tmaze_ntm(), core="sam", memory=memory)


def minigrid_memory_ntm() -> RLExperiment:
    """An NTM remembers the object at the start of MiniGrid's memory room."""
    return _tuned(
        env="MiniGrid-MemoryS7-v0",
        core="ntm",
        memory=SMALL_NTM,
        steps=1_000_000,
        stop_at=0.95,
        envs_per_runner=32,
        batch_size=4096,
        minibatch_size=1024,
        gamma=0.99,
        gae_lambda=0.95,
        max_seq_len=64,
        entropy=0.01,
    )


def minigrid_memory_gru() -> RLExperiment:
    """A GRU remembers the object at the start of MiniGrid's memory room."""
    return replace(minigrid_memory_ntm(), core="gru", memory={"size": 128})


def minigrid_memory_feedforward() -> RLExperiment:
    """MiniGrid's memory room without memory: stays near one half."""
    return replace(minigrid_memory_ntm(), core="feedforward", memory={"size": 128})


def bandit_gru() -> RLExperiment:
    """A GRU learns to find the best of 5 arms in 10 pulls (Duan et al. 2016)."""
    return _tuned(
        env="Bandit-N10-K5-v0",
        core="gru",
        memory={"size": 64},
        steps=900_000,
        envs_per_runner=64,
        batch_size=4096,
        minibatch_size=1024,
        gamma=0.99,
        gae_lambda=0.95,
        max_seq_len=11,
    )


def bandit_100_gru() -> RLExperiment:
    """A GRU learns to find the best of 10 arms in 100 pulls (Duan et al. 2016)."""
    # Returns of up to 100 fall to nothing at the end of each trial, which the observation does not tell: a short
    # horizon, by both discount and lambda, keeps the critic's errors there out of all other steps.
    return replace(
        bandit_gru(),
        env="Bandit-N100-K10-v0",
        memory={"size": 128},
        steps=2_000_000,
        batch_size=64 * 101,
        minibatch_size=16 * 101,
        gamma=0.9,
        gae_lambda=0.3,
        value_weight=0.1,
        max_seq_len=101,
    )


def tabular_mdp_gru() -> RLExperiment:
    """A GRU learns to explore a world of 10 states, and to earn from it, within 100 steps (Duan et al. 2016)."""
    return replace(bandit_100_gru(), env="TabularMDP-N10-v0")


def own_cues_shared() -> RLExperiment:
    """Two agents, one policy: each remembers a cue of its own among those of the other."""
    return _tuned(
        env="lukasa.envs.own_cues:OwnCues",
        env_settings={"cues": 4, "delay": 8},
        core="lstm",
        memory={"size": 64},
        envs_per_runner=16,
        batch_size=1600,
        minibatch_size=320,
        steps=32_000,
        stop_at=1.95,
    )


def own_cues_separate() -> RLExperiment:
    """Two agents, a policy each: each remembers a cue of its own among those of the other."""
    return replace(own_cues_shared(), policies="separate")


RL_RECIPES: dict[str, Callable[[], RLExperiment]] = {
    recipe.__name__: recipe
    for recipe in (
        repeat_previous_medium_ntm,
        repeat_previous_medium_gru,
        repeat_previous_medium_lstm,
        repeat_previous_ntm,
        repeat_previous_dnc,
        repeat_previous_sam,
        repeat_previous_gru,
        repeat_previous_lstm,
        repeat_previous_feedforward,
        tmaze_ntm,
        tmaze_sam,
        minigrid_memory_ntm,
        minigrid_memory_gru,
        minigrid_memory_feedforward,
        bandit_gru,
        bandit_100_gru,
        tabular_mdp_gru,
        *GRID_RECIPES,
        own_cues_shared,
        own_cues_separate,
        *REPLAY_RECIPES,
        *TAPE_RECIPES,
    )
}
"""The recipes of `lukasa train rl`, by name."""
