"""``lukasa train rl``: reinforcement learning on a Gymnasium environment."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from launch.asking import words_or_questions
from launch.batches import check_batches
from launch.errors import UserError
from launch.placement import OnRay, Placement
from launch.recipes import RL, RLExperiment, check_numbers
from launch.runs import Run
from launch.training import Outcome, Request, Resume, read_request, train_command


def main(argv: Sequence[str]) -> int:
    """Train, or continue training; returns the exit code."""
    return train_command(RL, words_or_questions(RL, argv), check_experiment, _train, _on_ray)


def read_command_line(argv: Sequence[str]) -> Request[RLExperiment]:
    """Parse the options; raises as ``launch.training.read_request``."""
    return read_request(RL, argv)


def check_experiment(experiment: RLExperiment) -> None:
    """Build the core and the environment once, small, so that mistakes show before anything is written.

    Raises:
        UserError: a number or an option of the core cannot be used.
        envs.EnvironmentError: the environment is unknown or not installed.
    """
    import memory

    check_numbers(experiment)
    check_batches(experiment)
    try:
        memory.make_core(experiment.core, input_size=2, output_size=2, **experiment.memory)
    except memory.UnknownNameError:
        raise
    except ValueError as error:
        raise UserError(str(error)) from None
    _check_environment(experiment)

    from launch.algorithms import make_config, make_module, played_weights, quiet_libraries

    try:
        with quiet_libraries():
            module = make_module(make_config(experiment), experiment)
    except (ImportError, ValueError) as error:
        raise UserError(str(error)) from None
    if experiment.start_from:
        from launch.initial_weights import initial_weights

        initial_weights(module.get_state(), "rl", played_weights, experiment.start_from)


def _check_environment(experiment: RLExperiment) -> None:
    import envs

    make: list[Any] = [lambda: envs.make(experiment.env, **experiment.env_settings)]
    try:
        if envs.has_vector_program(experiment.env):
            make.append(lambda: envs.make_vec(experiment.env, 1, **experiment.env_settings))
        for env in [one() for one in make]:
            with suppress(Exception):  # one that fails in this has done its work
                env.close()
    except (envs.UnknownEnvironmentError, envs.MissingExtraError):
        raise
    except ValueError as error:
        raise UserError(str(error)) from None
    except Exception as error:
        raise UserError(str(envs.failure_of(experiment.env, "its constructor", error))) from error


def _train(run: Run, experiment: RLExperiment, resume: Resume | None) -> Outcome:
    from launch.rl import train  # imports Ray

    return _with_ablation(run, experiment, train(run, experiment, resume))


def _on_ray() -> OnRay[RLExperiment]:
    from launch.rl import ON_RAY  # imports Ray

    def train(run: Run, experiment: RLExperiment, resume: Resume | None, placement: Placement) -> Outcome:
        return _with_ablation(run, experiment, ON_RAY.train(run, experiment, resume, placement))

    return replace(ON_RAY, train=train)


def _with_ablation(run: Run, experiment: RLExperiment, outcome: Outcome) -> Outcome:
    """The outcome with what is left of the agent when its memory is wiped; as it is where that was not asked for."""
    if outcome.signal is not None or outcome.score is None or not experiment.ablation:
        return outcome
    import envs
    from launch.evaluate_rl import ablation_report

    try:
        return replace(outcome, report=ablation_report(run, experiment))
    except envs.EnvironmentFailedError as failure:  # training itself has succeeded
        return replace(outcome, report=f"what its memory is for could not be measured: {failure}")
