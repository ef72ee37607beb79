"""Reinforcement learning on a Gymnasium environment: the kind ``rl``."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

from lukasa.ground.mistakes import UserError, as_user_error
from lukasa.launch.kinds.kind import Evaluation, Kind, Listen, Pictures, Views
from lukasa.launch.kinds.rl.experiment import EPISODES_IN_MEAN, RLExperiment
from lukasa.launch.kinds.rl.learning import given_options
from lukasa.launch.kinds.rl.options import RL
from lukasa.launch.kinds.subjects import Subject
from lukasa.launch.ray.placement import OnRay, Placement
from lukasa.launch.runs.directory import Run
from lukasa.launch.runs.endings import Outcome, Resume


def check_experiment(experiment: RLExperiment) -> None:
    """Build the core and the environment once, small, so that mistakes show before anything is written.

    Raises:
        UserError: a number, or an option of the core or the algorithm, cannot be used.
        envs.EnvironmentError: the environment is unknown or not installed.
    """
    from lukasa import memory
    from lukasa.agents.rllib import make_algorithm_options  # imports Ray

    RL.check_numbers(experiment)
    RL.check_together(experiment)
    with as_user_error():
        memory.make_core(experiment.core, input_size=2, output_size=2, **experiment.memory)
        make_algorithm_options(experiment.algorithm, **given_options(experiment))
    _check_environment(experiment)

    from lukasa.launch.kinds.rl.algorithms import make_config, make_module, played_weights
    from lukasa.launch.ray.quiet import quiet_libraries

    try:
        with as_user_error("", ImportError), quiet_libraries():
            module = make_module(make_config(experiment), experiment)
    except UserError:
        raise
    except Exception as error:
        if ":" not in experiment.algorithm:
            raise
        failed = f"algorithm {experiment.algorithm!r} fails with its options: {type(error).__name__}: {error}"
        raise UserError(failed) from error
    if experiment.start_from and not hasattr(module, "core"):
        raise UserError(f"--start-from {experiment.start_from} is for one agent, and {experiment.env!r} has several")
    if experiment.start_from:
        from lukasa.launch.kinds.initial_weights import initial_weights

        initial_weights(module.get_state(), "rl", played_weights, experiment.start_from)


def _check_environment(experiment: RLExperiment) -> None:
    from lukasa import envs

    make: list[Any] = [lambda: envs.make(experiment.env, **experiment.env_settings)]
    try:
        with as_user_error():
            if envs.has_vector_program(experiment.env):
                make.append(lambda: envs.make_vec(experiment.env, 1, **experiment.env_settings))
            for env in [one() for one in make]:
                with suppress(Exception):  # one that fails in this has done its work
                    env.close()
    except UserError:
        raise
    except Exception as error:
        raise UserError(str(envs.failure_of(experiment.env, "its constructor", error))) from error
    if experiment.curriculum_from is not None:
        from lukasa.launch.kinds.rl.growth import full_length

        full_length(experiment)


def subject(experiment: RLExperiment) -> Subject:
    """What a run is scored on."""
    from lukasa import envs

    unit, known = envs.score_unit(experiment.env), envs.ENVIRONMENTS.get(experiment.env)
    return Subject(
        name=experiment.env,
        plural="environments",
        unit=unit,
        counted="environment steps",
        score_key="success_rate" if unit == "success rate" else "return_mean",
        spread_key="" if unit == "success rate" else "return_std",
        learner=experiment.core,
        chance=known.chance if known else None,
        best=known.best if known else None,
        averaged=f", last {EPISODES_IN_MEAN} episodes",
    )


def _train(run: Run, experiment: RLExperiment, resume: Resume | None, listen: Listen | None = None) -> Outcome:
    from lukasa.launch.kinds.rl.job import train  # imports Ray
    from lukasa.launch.training.loop import quietly

    if listen is not None:
        return train(run, experiment, resume, worker=quietly(listen))
    return _with_ablation(run, experiment, train(run, experiment, resume))


def _on_ray() -> OnRay[RLExperiment]:
    from lukasa.launch.kinds.rl.job import ON_RAY  # imports Ray

    def train(run: Run, experiment: RLExperiment, resume: Resume | None, placement: Placement) -> Outcome:
        return _with_ablation(run, experiment, ON_RAY.train(run, experiment, resume, placement))

    return replace(ON_RAY, train=train)


def _with_ablation(run: Run, experiment: RLExperiment, outcome: Outcome) -> Outcome:
    """The outcome with what is left of the agent when its memory is wiped; as it is where that was not asked for."""
    if outcome.signal is not None or outcome.score is None or not experiment.ablation:
        return outcome
    from lukasa import envs
    from lukasa.launch.kinds.rl.evaluation import ablation_report

    try:
        return replace(outcome, report=ablation_report(run, experiment))
    except envs.EnvironmentFailedError as failure:  # training itself has succeeded
        return replace(outcome, report=f"what its memory is for could not be measured: {failure}")


def _evaluation() -> Evaluation[RLExperiment]:
    from lukasa.launch.kinds.rl.evaluation import EVALUATION

    return EVALUATION


def _pictures() -> Pictures[RLExperiment]:
    from lukasa.launch.kinds.rl.pictures import PICTURES

    return PICTURES


def _views() -> Views[RLExperiment]:
    from lukasa.launch.kinds.rl.views import VIEWS

    return VIEWS


def _load_agent(run: Run, experiment: RLExperiment, checkpoint: str, **options: Any) -> Any:
    from lukasa.agents.rllib import RLAgent
    from lukasa.launch.kinds.rl.evaluation import load_agent

    return RLAgent(load_agent(run, experiment, checkpoint).module, **options)


KIND = Kind(
    RL,
    check=check_experiment,
    train=_train,
    subject=subject,
    evaluation=_evaluation,
    pictures=_pictures,
    views=_views,
    load_agent=_load_agent,
    on_ray=_on_ray,
)
"""Reinforcement learning."""
