"""Reinforcement learning: from an experiment to what ``lukasa.launch.training.loop`` trains."""

from __future__ import annotations

import math
import sys
from collections import deque
from contextlib import nullcontext, suppress
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from ray.exceptions import RayError
from ray.rllib.core import ALL_MODULES
from ray.rllib.utils.metrics import EPISODE_AGENT_RETURN_MEAN

from lukasa import envs
from lukasa.agents.rllib.runner import check_elsewhere
from lukasa.agents.rllib.watched_runner import RunnerFailedError
from lukasa.ground.mistakes import TrainingError, UserError
from lukasa.launch.kinds.rl.advice import Watch
from lukasa.launch.kinds.rl.algorithms import (
    begin_with,
    capture_state,
    make_config,
    present_weights,
    restore_state,
    steps_sampled,
)
from lukasa.launch.kinds.rl.divergence import check_learned
from lukasa.launch.kinds.rl.experiment import EPISODES_IN_MEAN, RLExperiment
from lukasa.launch.kinds.rl.growth import Growth
from lukasa.launch.kinds.rl.held_out import HeldOut
from lukasa.launch.kinds.rl.learning import is_asynchronous
from lukasa.launch.kinds.rl.outcomes import episodes_ended
from lukasa.launch.kinds.rl.waits import memories, waits
from lukasa.launch.ray.placement import Bundle, OnRay, Placement
from lukasa.launch.ray.quiet import quiet_libraries
from lukasa.launch.ray.session import running_ray
from lukasa.launch.runs.checkpoints import last_good, list_checkpoints, load_checkpoint
from lukasa.launch.runs.directory import Run
from lukasa.launch.runs.endings import Outcome, Resume
from lukasa.launch.runs.failures import sentence
from lukasa.launch.runs.rates import Rate
from lukasa.launch.runs.stopping import Wish, stop_on_signals
from lukasa.launch.training.loop import Row, Worker, train_job

RATE_SECONDS = 10.0
"""Window of the steps a second of an asynchronous algorithm, whose steps come in bursts."""

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
    "memory_cost": "memory_cost",
    "curr_kl_coeff": "kl_coefficient",
    "vf_explained_var": "value_explained",
    "qf_mean": "q_mean",
    "td_error_mean": "td_error",
    "epsilon": "epsilon",
    "dictionary_entries": "dictionary_entries",
    "dictionary_bytes_sent": "dictionary_bytes_sent",
    "gradients_default_optimizer_global_norm": "gradient_norm",
}
"""Names of RLlib and ours."""


def train(
    run: Run,
    experiment: RLExperiment,
    resume: Resume | None,
    placement: Placement | None = None,
    worker: Worker | None = None,
) -> Outcome:
    """Train until the steps are done, the score is reached or the user stops; saves before it returns.

    A lost runner is replaced while training goes on; the loss of another process, such as a learner, takes the run
    back to its last checkpoint.

    Args:
        run: a run directory that this process holds.
        experiment: what to train.
        resume: the checkpoint to continue from and its state.
        placement: the learners' GPUs; none where there is no Ray but ours.
        worker: how it listens and shows; as a person at a terminal expects when None.

    Raises:
        TrainingError: processes were lost too often.
    """
    torch.set_num_threads(experiment.threads)
    cpus = 1 + experiment.runners + experiment.learners * (1 + experiment.aggregators)
    gpus = (placement.gpus_per_worker if placement else None) or 0
    worker = worker or Worker(listen=stop_on_signals)
    with quiet_libraries(), running_ray(cpus), worker.listen() as stop:
        lost, in_vain, step = "", 0, -1
        for _ in range(RESTARTS):
            try:
                return _sitting(run, experiment, resume, stop, gpus, worker)
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


def _sitting(
    run: Run, experiment: RLExperiment, resume: Resume | None, stop: Wish, gpus: float, worker: Worker
) -> Outcome:
    algorithm = _build(experiment, resume[0].step if resume else 0, gpus)
    try:
        if experiment.start_from and not resume:
            begin_with(algorithm, experiment.start_from)
        heard = replace(worker, listen=lambda: nullcontext(stop))
        return train_job(run, experiment, RLJob(experiment, algorithm, run), resume, heard)
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


class RLJob:
    """An algorithm of RLlib, as ``lukasa.launch.training.loop`` sees it; a batch is one of its iterations.

    Args:
        experiment: what is trained.
        algorithm: before its first iteration of a sitting.
        run: whose checkpoints are named where training fails.
    """

    counted, steps_name = "environment steps", "steps"
    higher_is_better = True

    def __init__(self, experiment: RLExperiment, algorithm: Any, run: Run):
        self.experiment, self.algorithm, self.run = experiment, algorithm, run
        self.unit = envs.score_unit(experiment.env)
        self.score_key = score_name(self.unit)
        self.done = 0
        self._growth, self._grown = Growth(experiment), False
        self.scores_compare = self._growth.length is None  # those of different lengths do not
        self._recent: Recent = deque(maxlen=EPISODES_IN_MEAN)
        self._runners, self._held_out = Runners(), HeldOut(experiment)
        self._asynchronous = is_asynchronous(experiment.algorithm)
        self._result: dict[str, Any] = {}
        self._played = self._learned = present_weights(algorithm)

    def standing(self) -> tuple[float | None, str]:
        """What guessing scores."""
        known = envs.ENVIRONMENTS.get(self.experiment.env) if not self.experiment.env_settings else None
        length = self._growth.length
        return known.chance if known else None, "" if length is None else f"inputs of length {length}"

    @property
    def is_full(self) -> bool:
        """Whether a curriculum has come to its end, before which no score ends the run."""
        return self._growth.length is None or self._growth.is_full

    def begin(self, rows: list[Row]) -> None:
        """Watch how it goes on from there."""
        seconds = rows[-1]["seconds"] if rows else 0.0
        self._watch = Watch(self.experiment, rows)
        self._rate = Rate(self.done, seconds, RATE_SECONDS if self._asynchronous else 0)

    def learn(self) -> None:
        """Train for one iteration.

        Raises:
            TrainingError: a gradient or a weight is not finite.
        """
        self._played = self._learned
        if self._grown:
            self._recent.clear()
        self._growth.apply(self.algorithm)
        self._result = self.algorithm.train()
        self._learned = present_weights(self.algorithm)
        check_learned(self._result, self._learned, self.done, self.run)
        self.done = int(self._result["num_env_steps_sampled_lifetime"])
        self._runners.watch(self._result)
        ended = episodes_ended(self._result)
        self._recent.extend(ended)
        self._length = self._growth.length
        self._grown = self._growth.look(score for _, _, score in ended)

    def line(self, seconds: float, before: Row, *, writes: bool) -> Row:
        """One line of metrics an iteration."""
        elapsed = seconds - before["seconds"]
        row = metrics_row(self._result, self._recent, seconds, self._rate, self.unit)
        row |= {} if self._length is None else {"input_length": self._length}
        row |= _workings(self._result, elapsed, self.experiment)
        row |= self._held_out.look(before.get(self.run.step_key, 0), self.done, self._learned)
        return row | self._watch.look(row)

    def is_whole(self, error: Exception) -> bool:
        """Whether nothing of the iteration that failed was learned."""
        if isinstance(error, envs.EnvironmentFailedError | RunnerFailedError):
            return True  # it was to be sampled
        if isinstance(error, TrainingError):
            return False
        with suppress(Exception):
            present = present_weights(self.algorithm)
            return all(np.array_equal(self._played[name], present[name]) for name in self._played)
        return False

    def state(self) -> dict[str, Any]:
        """Of the algorithm, and the weights that the last episodes were played with."""
        growth = {} if self._growth.length is None else {"growth": self._growth.state()}
        return capture_state(self.algorithm, self._recent, self._played) | growth

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        restore_state(self.algorithm, state)
        if "growth" in state:
            self._growth.restore(state["growth"])
        self.done = steps_sampled(self.algorithm)
        self._recent = deque(state["recent"], EPISODES_IN_MEAN)
        self._played = self._learned = present_weights(self.algorithm)


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
    runners, learner = result.get("env_runners", {}), _learned(result)
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
    if EPISODE_AGENT_RETURN_MEAN in runners:
        returns = runners[EPISODE_AGENT_RETURN_MEAN]
        row["agent_returns"] = {agent: _number(returns, agent) for agent in sorted(returns)}
    return row | {ours: _number(learner, theirs) for theirs, ours in LOSSES.items() if theirs in learner}


def _learned(result: dict[str, Any]) -> dict[str, Any]:
    """What the learners said of the policy; of several, the mean of each number."""
    policies = {name: one for name, one in result.get("learners", {}).items() if name != ALL_MODULES}
    if len(policies) <= 1:
        return next(iter(policies.values()), {})
    found = {theirs: [_number(one, theirs) for one in policies.values() if theirs in one] for theirs in LOSSES}
    numbers = {theirs: [one for one in given if one is not None] for theirs, given in found.items()}
    return {theirs: float(np.mean(given)) for theirs, given in numbers.items() if given}


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
