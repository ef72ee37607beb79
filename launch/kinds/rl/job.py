"""The training loop of reinforcement learning: train, measure, save, stop."""

from __future__ import annotations

import math
import sys
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from ray.exceptions import RayError

from lukasa import envs
from lukasa.agents.rllib.runner import RunnerFailedError, check_elsewhere
from lukasa.ground.mistakes import TrainingError, UserError
from lukasa.launch.kinds.rl.advice import Watch
from lukasa.launch.kinds.rl.algorithms import begin_with, make_config, present_weights, restore_state
from lukasa.launch.kinds.rl.divergence import check_learned
from lukasa.launch.kinds.rl.experiment import EPISODES_IN_MEAN, RLExperiment
from lukasa.launch.kinds.rl.learning import is_asynchronous
from lukasa.launch.kinds.rl.outcomes import episodes_ended
from lukasa.launch.kinds.rl.saving import Saver
from lukasa.launch.kinds.rl.waits import memories, waits
from lukasa.launch.ray.placement import Bundle, OnRay, Placement
from lukasa.launch.ray.quiet import quiet_libraries
from lukasa.launch.ray.session import running_ray
from lukasa.launch.runs.checkpoints import fitting, last_good, list_checkpoints, load_checkpoint, set_later_aside
from lukasa.launch.runs.directory import MetricsWriter, Run, rewind_metrics
from lukasa.launch.runs.endings import Outcome, Resume
from lukasa.launch.runs.failures import sentence
from lukasa.launch.runs.progress import make_reporter
from lukasa.launch.runs.rates import Rate
from lukasa.launch.runs.stopping import Wish, stop_on_signals

RATE_SECONDS = 10.0
"""Window of the steps a second of an asynchronous algorithm, whose steps come in bursts."""

Rows = list[dict[str, Any]]
Recent = deque[tuple[float, float, float]]

RESTARTS, RESTARTS_IN_VAIN = 10, 3
"""Times that all of RLlib's processes are started anew within one sitting, at all and without getting any further;
runners it replaces by itself."""

LOSSES = {
    "total_loss": "loss",
    "policy_loss": "policy_loss",
    "vf_loss": "value_loss",
    "entropy": "entropy",
    "mean_kl_loss": "kl",
    "curr_kl_coeff": "kl_coefficient",
    "vf_explained_var": "value_explained",
    "gradients_default_optimizer_global_norm": "gradient_norm",
}
"""Names of RLlib and ours."""


def train(
    run: Run,
    experiment: RLExperiment,
    resume: Resume | None,
    placement: Placement | None = None,
    listen: Callable[[], AbstractContextManager[Wish]] = stop_on_signals,
) -> Outcome:
    """Train until the steps are done, the score is reached or the user stops; saves before it returns.

    A lost runner is replaced while training goes on; the loss of another process, such as a learner, takes the run
    back to its last checkpoint.

    Args:
        run: a run directory that this process holds.
        experiment: what to train.
        resume: the checkpoint to continue from and its state.
        placement: the learners' GPUs; none where there is no Ray but ours.
        listen: begins to listen for a wish to stop.

    Raises:
        TrainingError: processes were lost too often.
    """
    torch.set_num_threads(experiment.threads)
    cpus = 1 + experiment.runners + experiment.learners * (1 + experiment.aggregators)
    gpus = (placement.gpus_per_worker if placement else None) or 0
    with quiet_libraries(), running_ray(cpus), listen() as stop:
        lost, in_vain, step = "", 0, -1
        for _ in range(RESTARTS):
            try:
                return _sitting(run, experiment, resume, stop, gpus)
            except (envs.EnvironmentFailedError, RunnerFailedError) as error:
                raise TrainingError(f"{error}; {last_good(run.checkpoints)}") from error
            except RayError as error:
                lost = _of_ray(error)
            checkpoints = list_checkpoints(run.checkpoints)
            resume = (checkpoints[-1], load_checkpoint(checkpoints[-1])) if checkpoints else None
            before, step = step, resume[0].step if resume else 0
            in_vain = in_vain + 1 if step == before else 0
            if in_vain >= RESTARTS_IN_VAIN:
                break
            print(f"a process was lost ({lost}): the run goes on from {step:,} steps", file=sys.stderr, flush=True)
    raise TrainingError(f"processes were lost too often, at last: {lost}; {last_good(run.checkpoints)}")


def _of_ray(error: RayError) -> str:
    """What became of a process, or what was raised in it."""
    cause = getattr(error, "cause", None)
    return sentence(cause) if isinstance(cause, BaseException) else str(error).strip().split("\n")[0]


def _sitting(run: Run, experiment: RLExperiment, resume: Resume | None, stop: Wish, gpus: float) -> Outcome:
    step = resume[0].step if resume else 0
    if resume:
        set_later_aside(run.checkpoints, step)
    rows = rewind_metrics(run, step)
    algorithm = _build(experiment, step, gpus)
    try:
        if resume:
            with fitting(resume[0]):
                restore_state(algorithm, resume[1])
        elif experiment.start_from:
            begin_with(algorithm, experiment.start_from)
        recent: Recent = deque(resume[1]["recent"] if resume else (), EPISODES_IN_MEAN)
        return _train_loop(run, experiment, algorithm, stop, rows, recent)
    finally:
        algorithm.stop()


def _build(experiment: RLExperiment, sitting: int, gpus: float) -> Any:
    config = make_config(experiment, sitting, gpus)
    try:
        return config.copy(copy_frozen=False).build_algo()
    except Exception:
        if experiment.runners:
            check_elsewhere(config)
        raise


def _train_loop(run: Run, experiment: RLExperiment, algorithm: Any, stop: Wish, rows: Rows, recent: Recent) -> Outcome:
    last = rows[-1] if rows else {"env_steps": 0, "seconds": 0.0}
    step, before, score = last["env_steps"], last["seconds"], None
    unit = envs.score_unit(experiment.env)
    known = envs.ENVIRONMENTS.get(experiment.env) if not experiment.env_settings else None
    chance = known.chance if known else None
    started, seconds = time.monotonic(), before
    saver = Saver(run, algorithm, recent, experiment.checkpoint_every, step)
    played = learned = present_weights(algorithm)
    runners, watch = Runners(), Watch(experiment, rows)
    rate = Rate(step, before, RATE_SECONDS if is_asynchronous(experiment.algorithm) else 0)
    writer = MetricsWriter(run, step)
    with make_reporter(experiment.steps, step, unit="steps", score=unit) as reporter, closing(writer):
        while step < experiment.steps and stop.signal is None:
            played = learned
            with saver.on_failure(step, played, score):
                result = algorithm.train()
                learned = present_weights(algorithm)
            check_learned(result, learned, step, run)
            runners.watch(result)
            recent.extend(episodes_ended(result))
            seconds = before + time.monotonic() - started
            row = metrics_row(result, recent, seconds, rate, unit) | _workings(
                result, seconds - last["seconds"], experiment
            )
            row |= watch.look(row)
            step, score, last = row["env_steps"], row[score_name(unit)], row
            writer.write(row)
            reporter.update(step, score, row["steps_per_second"] or 0.0, chance)
            saver.save_if_due(step, played, score)
            if experiment.stop_at is not None and score is not None and score >= experiment.stop_at:
                break
        saver.save_rest(step, played, score)
    return Outcome(step, "environment steps", seconds, score, unit, stop.signal)


def _workings(result: dict[str, Any], elapsed: float, experiment: RLExperiment) -> dict[str, Any]:
    """What tells where the time of an iteration went, and what the memories did in it."""
    processes = {"runners": experiment.runners, "learners": experiment.learners}
    asynchronous = is_asynchronous(experiment.algorithm)
    return waits(result, elapsed, **processes, asynchronous=asynchronous) | memories(result, elapsed)


class Runners:
    """Says when runners were lost, and when others took their place."""

    def __init__(self) -> None:
        self._healthy: int | None = None
        self._restarts = 0

    def watch(self, result: dict[str, Any]) -> None:
        """Look at what ``Algorithm.train`` returned."""
        found = result.get("fault_tolerance", {})
        healthy, restarts = found.get("num_healthy_workers", 0), found.get("num_remote_worker_restarts", 0)
        if self._healthy is not None and healthy < self._healthy:
            print(f"lost a runner: {healthy} left, and training goes on", file=sys.stderr, flush=True)
        if restarts > self._restarts:
            print(f"a runner that was lost was started anew: {healthy} at work", file=sys.stderr, flush=True)
        self._healthy, self._restarts = healthy, restarts


def metrics_row(result: dict[str, Any], recent: Recent, seconds: float, rate: Rate, unit: str) -> dict[str, Any]:
    """One line of ``metrics.jsonl``.

    Args:
        result: what ``Algorithm.train`` returned.
        recent: return, length and score of the last episodes.
        seconds: seconds trained, of all sittings.
        rate: that heard of the rows before.
        unit: unit of the environment's score.
    """
    runners, learner = result.get("env_runners", {}), result.get("learners", {}).get("default_policy", {})
    step = int(result["num_env_steps_sampled_lifetime"])
    returns, lengths, scores = np.array(recent).T if recent else ([], [], [])
    row = {
        "env_steps": step,
        "iteration": int(result["training_iteration"]),
        "seconds": round(seconds, 3),
        "steps_per_second": rate.update(step, seconds),
        "return_mean": _mean(returns),
        "return_std": float(np.std(returns)) if recent else None,
        "episodes": int(_number(runners, "num_episodes_lifetime") or 0),
        "episode_length": _mean(lengths),
    }
    if unit == "success rate":
        row["success_rate"] = _mean(scores)
    return row | {ours: _number(learner, theirs) for theirs, ours in LOSSES.items() if theirs in learner}


def score_name(unit: str) -> str:
    """The key of ``metrics.jsonl`` that holds the score."""
    return "success_rate" if unit == "success rate" else "return_mean"


def _mean(values: Any) -> float | None:
    return float(np.mean(values)) if len(values) else None


def _number(values: dict[str, Any], name: str) -> float | None:
    """A metric as a float, None where it is missing or not finite."""
    value = values.get(name)
    return float(value) if value is not None and math.isfinite(value) else None


def _with_runners(experiment: RLExperiment, placement: Placement) -> RLExperiment:
    if placement.gpus_per_worker and not experiment.learners:
        raise UserError(f"--gpus-per-worker {placement.gpus_per_worker:g} is for learners: add --learners 1 or more")
    return experiment if placement.workers is None else replace(experiment, runners=placement.workers)


def _bundles(experiment: RLExperiment, placement: Placement) -> list[Bundle]:
    learner: Bundle = {"CPU": 1, "GPU": placement.gpus_per_worker or 0}
    sampling = experiment.runners + experiment.learners * experiment.aggregators
    bundles: list[Bundle] = [{"CPU": 1}] * sampling
    return bundles + [learner] * experiment.learners


ON_RAY = OnRay(_with_runners, _bundles, train)
"""Reinforcement learning with ``--ray``, whose workers are the runners."""
