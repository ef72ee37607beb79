"""Recipes of agents that read and write tapes (Zaremba & Sutskever 2015), one of each task, core and algorithm.

They are named for the three: ``tape_reverse_direct_access_reinforce``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lukasa.launch.kinds.rl.experiment import RLExperiment

TAPE_TASKS = {
    "copy": ("TapeCopy-L10-v0", "copies a tape"),
    "duplicated_input": ("TapeDuplicatedInput-L10-v0", "copies each symbol of a tape once that is there twice"),
    "reverse": ("TapeReverse-L10-v0", "writes a tape backward"),
    "repeat_copy": ("TapeRepeatCopy-L5-v0", "copies a tape as often as its first symbol says"),
    "forward_reverse": ("TapeForwardReverse-L10-v0", "reverses what it can read once, by way of a memory tape"),
    "addition_2": ("TapeAddition-R2-L5-v0", "adds two numbers"),
    "addition_3": ("TapeAddition-R3-L5-v0", "adds three numbers"),
}
"""Environment, and what an agent does there, by task."""

TAPE_CORES: dict[str, tuple[str, Mapping[str, Any]]] = {
    "lstm": ("An LSTM", {"size": 64}),
    "direct_access": ("A direct access controller", {"size": 64}),
}
"""Who they are, and their options, by core."""

TAPE_ALGORITHMS: tuple[tuple[str, str, Mapping[str, Any]], ...] = (
    ("reinforce", "Reinforce", {"batch_size": 512, "lr": 0.01}),
    ("ppo", "PPO", {"batch_size": 1024, "minibatch_size": 256, "epochs": 4, "lr": 0.003, "max_seq_len": 32}),
)
"""Algorithms, what they are called, and the options that differ."""


def _tape_recipe(
    task: str, core: str, algorithm: str, called: str, options: Mapping[str, Any]
) -> Callable[[], RLExperiment]:
    (env, does), (who, memory) = TAPE_TASKS[task], TAPE_CORES[core]

    def recipe() -> RLExperiment:
        return RLExperiment(
            env=env,
            core=core,
            memory={**memory, "paths": 3} if (core, task) == ("direct_access", "forward_reverse") else memory,
            algorithm=algorithm,
            curriculum_from=1,
            steps=300_000,
            stop_at=0.98,
            envs_per_runner=32,
            gamma=0.99,
            entropy=0.02,
            entropy_end=0.0,
            embedding=64,
            output=64,
            previous_action=True,
            normalize_observations=False,
            normalize_returns=True,
            orthogonal=True,
            **options,
        )

    recipe.__name__ = recipe.__qualname__ = f"tape_{task}_{core}_{algorithm}"
    recipe.__doc__ = f"{who} {does}, from one symbol to many, by {called}."
    return recipe


TAPE_RECIPES: tuple[Callable[[], RLExperiment], ...] = tuple(
    _tape_recipe(task, core, *by) for task in TAPE_TASKS for core in TAPE_CORES for by in TAPE_ALGORITHMS
)
"""All of them."""
