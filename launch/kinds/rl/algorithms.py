"""From an experiment to an RLlib algorithm, and its whole state to plain values and back."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, cast

import numpy as np
import torch
from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.utils.metrics import ENV_RUNNER_RESULTS, NUM_ENV_STEPS_SAMPLED_LIFETIME

from lukasa import envs
from lukasa.agents.learning import schedule_factor
from lukasa.agents.rllib import (
    MemoryConfig,
    MemoryRLModule,
    algorithm_class,
    make_algorithm_options,
    register_environment,
)
from lukasa.agents.rllib.gradients import TARGET
from lukasa.launch.kinds.initial_weights import initial_weights
from lukasa.launch.kinds.rl.experiment import RLExperiment
from lukasa.launch.kinds.rl.learning import given_options
from lukasa.launch.kinds.rl.many_agents import cast_of, make_policies, together
from lukasa.launch.kinds.rl.outcomes import EpisodeOutcomes
from lukasa.launch.kinds.rl.waits import Waits, watched
from lukasa.launch.runs.checkpoints import BESIDE

POINTS = 100
"""Straight lines that a schedule which is none is drawn with."""


def make_config(experiment: RLExperiment, sitting: int = 0, gpus: float = 0) -> AlgorithmConfig:
    """The RLlib config of an experiment.

    Args:
        experiment: what to train.
        sitting: steps that were trained before; actions and environments have other streams in each.
        gpus: of each learner.
    """
    config: Any = algorithm_class(experiment.algorithm)()
    config.environment(register_environment(experiment.env), env_config=experiment.env_settings)
    config.env_runners(
        num_env_runners=experiment.runners,
        num_envs_per_env_runner=experiment.envs_per_runner,
        gym_env_vectorize_mode="vector_entry_point",
    )
    if cast_ := cast_of(experiment):
        if not config.many_agents:
            raise ValueError(
                f"--algorithm {experiment.algorithm} is for one agent: let several agents learn with "
                "ppo, appo or impala"
            )
        config.env_runners(gym_env_vectorize_mode="sync")
        config.multi_agent(policies=set(cast_.spaces), policy_mapping_fn=cast_.policy_of)
    config.learners(
        num_learners=experiment.learners,
        num_gpus_per_learner=gpus,
        num_aggregator_actors_per_learner=experiment.aggregators,
    )
    config.learners(learner_class=watched(config.get_default_learner_class(), asynchronous=config.asynchronous))
    config.fault_tolerance(restart_failed_env_runners=True)
    config.per_iteration(experiment.batch_size)
    config.training(**_learning_options(experiment))
    config.memory(
        core=experiment.core,
        embedding_size=experiment.embedding,
        output_size=experiment.output,
        previous_action=experiment.previous_action,
        previous_reward=experiment.previous_reward,
        normalize_observations=experiment.normalize_observations,
        normalize_returns=experiment.normalize_returns and "normalize_returns" not in config.not_taken,
        orthogonal=experiment.orthogonal,
        max_seq_len=experiment.max_seq_len,
        core_options=experiment.memory,
    )
    config.callbacks([EpisodeOutcomes, Waits])
    # One batch an iteration keeps ctrl-C quick; asynchronous algorithms, whose batches are many, get a second.
    config.reporting(min_time_s_per_iteration=1 if config.asynchronous else 0, log_gradients=True)
    config.debugging(seed=experiment.seed, log_level="ERROR")
    config.sitting = sitting
    return config


def _learning_options(experiment: RLExperiment) -> dict[str, Any]:
    """What RLlib's ``training()`` takes, by RLlib's names; learners share each batch."""
    policy_gradient = {
        "entropy": {"entropy_coeff": _scheduled(experiment.entropy, experiment.entropy_end, experiment.steps)},
        "value_weight": {"vf_loss_coeff": experiment.value_weight},
    }
    unused = algorithm_class(experiment.algorithm).not_taken
    return {
        "lr": learning_rate(experiment),
        "gamma": experiment.gamma,
        "grad_clip": experiment.clip_norm,
        **{key: one for name, part in policy_gradient.items() if name not in unused for key, one in part.items()},
        **make_algorithm_options(experiment.algorithm, **given_options(experiment)).training(
            max(1, experiment.learners)
        ),
    }


def learning_rate(experiment: RLExperiment) -> Any:
    """The learning rate as RLlib takes it: a number, or points that it draws straight lines between."""
    lr, steps = experiment.lr, experiment.steps
    if experiment.schedule == "constant" and not experiment.warmup:
        return lr
    if experiment.schedule == "linear" and not experiment.warmup:
        return [[0, lr], [steps, lr * experiment.final_lr]]
    factor = schedule_factor(
        experiment.schedule,
        batches=steps,
        warmup=experiment.warmup,
        final=experiment.final_lr,
        halve_every=experiment.halve_every,
    )
    return [[step, lr * factor(step)] for step in sorted({round(steps * part / POINTS) for part in range(POINTS + 1)})]


def _scheduled(value: float, end: float | None, steps: int) -> Any:
    """A number as RLlib takes it: the same all along, or on a straight line to its end."""
    return value if end is None else [[0, value], [steps, end]]


def make_module(config: AlgorithmConfig, experiment: RLExperiment) -> MemoryRLModule:
    """An untrained agent, without an algorithm around it; of several agents their policies together.

    Raises:
        ValueError: the agent cannot have the environment's observation or action space, or its algorithm lacks
            something in it.
    """
    if cast_ := cast_of(experiment):
        return make_policies(config, cast_)
    env = envs.make(experiment.env, **experiment.env_settings)
    try:
        spaces = {"default_policy": (env.observation_space, env.action_space)}
        module = cast(MemoryRLModule, config.get_rl_module_spec(spaces=spaces).build())
        cast(MemoryConfig, config).check_environment(env)
        return module
    finally:
        with suppress(Exception):
            env.close()


def present_weights(algorithm: Algorithm) -> dict[str, Any]:
    """A copy of the weights that the next episodes are played with."""
    assert algorithm.learner_group is not None
    weights = together(algorithm.learner_group.get_weights())
    return {name: np.array(value) for name, value in weights.items()}


def played_weights(state: Mapping[str, Any]) -> dict[str, Any]:
    """The weights that earned a checkpoint's score: its last update may have undone them.

    Args:
        state: what ``capture_state`` gave.
    """
    if "played" in state:
        return without_target(state["played"])
    return without_target(together(state["algorithm"]["learner_group"]["learner"]["rl_module"]))


def restore_files(agent: Any, state: Mapping[str, Any]) -> None:
    """Give an agent, or an algorithm, what was saved in files beside the state of a checkpoint; most have none."""
    if BESIDE in state:
        agent.restore_files(state[BESIDE])


def begin_with(algorithm: Algorithm, start_from: str) -> None:
    """Give an algorithm, before its first iteration, the weights of another run, in its target network too.

    Args:
        algorithm: between two iterations.
        start_from: a run directory, for its best checkpoint, or one of its checkpoints.

    Raises:
        UserError: as ``initial_weights`` raises.
    """
    own = present_weights(algorithm)
    weights = initial_weights(without_target(own), "rl", played_weights, start_from)
    module = {DEFAULT_MODULE_ID: {name: weights[name.removeprefix(TARGET)] for name in own}}
    algorithm.set_state({"learner_group": {"learner": {"rl_module": module}}})


def without_target(weights: Mapping[str, Any]) -> dict[str, Any]:
    """Weights without those of a target network, which plays nothing."""
    return {name: value for name, value in weights.items() if not name.rpartition("/")[2].startswith(TARGET)}


def capture_state(
    algorithm: Algorithm, recent: Iterable[tuple[float, ...]], played: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Everything that training needs to continue: weights, optimizer, counters, KL coefficients, random states.

    Episodes in progress are not part of it: they start anew.

    Args:
        algorithm: between two iterations.
        recent: outcomes of the last episodes, for the mean score.
        played: the weights that these were played with, before the last update; the present ones when None.
    """
    files = getattr(algorithm, "files", dict)()
    return {
        **({BESIDE: files} if files else {}),
        # what is remembered beside the weights is found by those of now alone
        "played": present_weights(algorithm) if played is None or files else played,
        "recent": list(recent),
        "algorithm": algorithm.get_state(),
        "kl": _foreach_learner(algorithm, _kl_coefficients)[0],
        "random": {
            "torch": torch.get_rng_state(),
            "numpy": np.random.get_state(),
            "python": random.getstate(),
        },
    }


def restore_state(algorithm: Algorithm, state: dict[str, Any]) -> None:
    """Put back what ``capture_state`` gave."""
    algorithm.set_state(state["algorithm"])
    restore_files(algorithm, state)
    _foreach_learner(algorithm, functools.partial(_set_entropy, step=steps_sampled(algorithm)))
    _foreach_learner(algorithm, functools.partial(_set_kl_coefficients, values=state["kl"]))
    torch.set_rng_state(torch.as_tensor(state["random"]["torch"]))
    np.random.set_state(state["random"]["numpy"])
    random.setstate(state["random"]["python"])


def _foreach_learner(algorithm: Algorithm, function: Callable[..., Any]) -> list[Any]:
    """What a function of a learner returns for each of them; raises what became of one that was lost."""
    assert algorithm.learner_group is not None
    answers = list(algorithm.learner_group.foreach_learner(function))
    for answer in answers:
        if not answer.ok:
            raise answer.get()
    return [answer.get() for answer in answers]


def _kl_coefficients(learner: Any) -> dict[str, float]:
    # RLlib leaves these out of the learner's state; without them a resumed run starts from the initial penalty.
    return {name: float(value) for name, value in getattr(learner, "curr_kl_coeffs_per_module", {}).items()}


def steps_sampled(algorithm: Algorithm) -> int:
    """Environment steps of the whole run so far."""
    return int(algorithm.metrics.peek((ENV_RUNNER_RESULTS, NUM_ENV_STEPS_SAMPLED_LIFETIME), default=0))


def _set_entropy(learner: Any, step: int) -> None:
    # Nor is it part of it how far the entropy bonus has come on its way, where there is one.
    schedules: Any = getattr(learner, "entropy_coeff_schedulers_per_module", None)
    if schedules is not None:
        for policy in learner.module.keys():  # noqa: SIM118, a module is no mapping
            schedules[policy].update(timestep=step)  # made when it is asked for


def _set_kl_coefficients(learner: Any, values: dict[str, float]) -> None:
    for name, value in values.items():
        learner.curr_kl_coeffs_per_module[name].data.fill_(value)
