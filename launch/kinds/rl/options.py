"""Reinforcement learning, as the command line sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from lukasa.launch.kinds.kind import Experiments, Group
from lukasa.launch.kinds.rl.batches import check_batches, check_divisible
from lukasa.launch.kinds.rl.experiment import RLExperiment
from lukasa.launch.kinds.rl.learning import default_clip_norm, learning_options_class, not_taken
from lukasa.launch.kinds.rl.recipes import RL_RECIPES
from lukasa.launch.options.fields import peek
from lukasa.launch.options.typed import option_classes


def renewed(values: Mapping[str, Any]) -> dict[str, Any]:
    """What was asked of a run when ``clip_norm`` was ``grad_clip``, and a decay was told by ``lr_end`` alone.

    Example:
        >>> renewed({"lr": 0.01, "lr_end": 0.001, "grad_clip": None})
        {'lr': 0.01, 'clip_norm': None, 'schedule': 'linear', 'final_lr': 0.1}
    """
    new = {name: value for name, value in values.items() if name not in ("grad_clip", "lr_end")}
    if "grad_clip" in values:
        new["clip_norm"] = values["grad_clip"]
    if values.get("lr_end") is not None:
        new |= {"schedule": "linear", "final_lr": values["lr_end"] / values.get("lr", RLExperiment.lr)}
    return new


def suited(base: RLExperiment, argv: Sequence[str]) -> RLExperiment:
    """The defaults of the algorithm that a command line asks for.

    Example:
        >>> suited(RLExperiment(), ["--algorithm", "dqn"]).clip_norm, suited(RLExperiment(), []).clip_norm
        (10.0, 0.5)
    """
    algorithm = peek(argv, "--algorithm") or base.algorithm
    if algorithm == base.algorithm or base.clip_norm != RLExperiment.clip_norm:
        return base
    return replace(base, clip_norm=default_clip_norm(algorithm))


RL = Experiments(
    name="rl",
    experiment=RLExperiment,
    recipes=RL_RECIPES,
    step_key="env_steps",
    counted="environment steps",
    groups={
        "memory": Group("core", option_classes("cores")),
        "env_settings": Group("env"),
        "learning": Group("algorithm", learning_options_class, not_taken),
    },
    may_change=("runners", "learners", "aggregators", "ablation"),
    least={
        "runners": 0,
        "learners": 0,
        "aggregators": 0,
        "envs_per_runner": 1,
        "minibatch_size": 1,
        "epochs": 1,
        "max_seq_len": 1,
        "gamma": 0,
        "gae_lambda": 0,
        "entropy": 0,
        "entropy_end": 0,
        "embedding": 1,
        "output": 1,
        "eval_every": 1,
        "eval_episodes": 1,
        "ablation": 0,
        "curriculum_from": 1,
    },
    above_zero=("lr", "clip", "kl_target", "value_clip", "grad_clip"),
    at_most_one=("gamma", "gae_lambda"),
    before_added={
        "normalize_observations": False,
        "normalize_returns": False,
        "orthogonal": False,
        "kl_target": 0.01,
    },
    renew=renewed,
    suited=suited,
    renamed={"grad_clip": "--clip-norm", "lr_end": "--schedule linear --final-lr SHARE, a share of --lr"},
    sections={
        "What to train": (
            "env",
            "env_settings",
            "policies",
            "core",
            "start_from",
            "steps",
            "curriculum_from",
            "curriculum_mastery",
        ),
        "Memory": ("memory",),
        "Network": (
            "embedding",
            "output",
            "previous_action",
            "previous_reward",
            "normalize_observations",
            "normalize_returns",
            "orthogonal",
        ),
        "Running": ("runners", "envs_per_runner", "learners", "aggregators"),
    },
    examples=(
        ("lukasa train rl repeat_previous_ntm", "a recipe; lukasa list recipes names them all"),
        ("lukasa train rl repeat_previous_ntm --seed 1 --lr 3e-4", "a recipe with changes"),
        ("lukasa train rl --env TMaze-L50-v0 --core dnc --memory.slots 16", "any environment, any core"),
        ("lukasa train rl --core sam --help", "the options of another core"),
        ("lukasa train rl --algorithm appo --help", "the options of another algorithm"),
    ),
    questions=(("env", "environment", "envs", "RepeatPrevious-k4-v0"), ("core", "memory core", "cores", "gru")),
    shown=("env", "core", "steps"),
    further_checks=(check_divisible, check_batches),
)
"""What ``lukasa train rl`` takes, and how it is shown."""
