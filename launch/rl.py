"""The training loop of reinforcement learning: train, measure, save, stop."""

from __future__ import annotations

import math
import time
from collections import deque
from typing import Any

import numpy as np

import envs
from launch.algorithms import capture_state, make_config, quiet_libraries, restore_state, running_ray
from launch.checkpoints import save_checkpoint, set_later_aside
from launch.outcomes import OUTCOMES
from launch.progress import make_reporter
from launch.recipes import RLExperiment
from launch.runs import MetricsWriter, Run, rewind_metrics
from launch.stopping import Stop, stop_on_signals
from launch.training import Outcome, Resume

Rows = list[dict[str, Any]]
Recent = deque[tuple[float, float, float]]
EPISODES_IN_MEAN = 100

LOSSES = {
    "total_loss": "loss",
    "policy_loss": "policy_loss",
    "vf_loss": "value_loss",
    "entropy": "entropy",
    "mean_kl_loss": "kl",
    "curr_kl_coeff": "kl_coefficient",
    "vf_explained_var": "value_explained",
}
"""Names of RLlib and ours."""


def train(run: Run, experiment: RLExperiment, resume: Resume | None) -> Outcome:
    """Train until the steps are done, the score is reached or the user stops; saves before it returns.

    Args:
        run: a run directory that this process holds.
        experiment: what to train.
        resume: the checkpoint to continue from and its state.
    """
    step = resume[0].step if resume else 0
    if resume:
        set_later_aside(run.checkpoints, step)
    rows = rewind_metrics(run, step)
    with quiet_libraries(), running_ray(experiment.runners, experiment.threads), stop_on_signals() as stop:
        # Other seeds than those of the first sitting: else the environments would replay its first episodes.
        algorithm = make_config(experiment, experiment.seed + step).build_algo()
        try:
            if resume:
                restore_state(algorithm, resume[1])
            recent: Recent = deque(resume[1]["recent"] if resume else (), EPISODES_IN_MEAN)
            return _train_loop(run, experiment, algorithm, stop, rows, recent)
        finally:
            algorithm.stop()


def _train_loop(run: Run, experiment: RLExperiment, algorithm: Any, stop: Stop, rows: Rows, recent: Recent) -> Outcome:
    last = rows[-1] if rows else {"env_steps": 0, "seconds": 0.0}
    step, before, score = last["env_steps"], last["seconds"], None
    unit = envs.score_unit(experiment.env)
    started = saved_at = time.monotonic()
    saved_step, seconds = step, before
    writer = MetricsWriter(run, step)
    with make_reporter(experiment.steps, step, unit="steps", score=unit) as reporter:
        while step < experiment.steps and stop.signal is None:
            result = algorithm.train()
            recent.extend(result.get("env_runners", {}).get(OUTCOMES, ()))
            seconds = before + time.monotonic() - started
            row = metrics_row(result, recent, seconds, last, unit)
            step, score, last = row["env_steps"], row[score_name(unit)], row
            writer.write(row)
            reporter.update(step, score, row["steps_per_second"])
            if time.monotonic() - saved_at >= experiment.checkpoint_every:
                save_checkpoint(run.checkpoints, step, capture_state(algorithm, recent), score)
                saved_at, saved_step = time.monotonic(), step
            if experiment.stop_at is not None and score is not None and score >= experiment.stop_at:
                break
    if saved_step != step:
        save_checkpoint(run.checkpoints, step, capture_state(algorithm, recent), score)
    writer.close()
    return Outcome(step, "environment steps", seconds, score, unit, stop.signal)


def metrics_row(
    result: dict[str, Any], recent: Recent, seconds: float, last: dict[str, Any], unit: str
) -> dict[str, Any]:
    """One line of ``metrics.jsonl``.

    Args:
        result: what ``Algorithm.train`` returned.
        recent: return, length and score of the last episodes.
        seconds: seconds trained, of all sittings.
        last: the row before.
        unit: unit of the environment's score.
    """
    runners, learner = result.get("env_runners", {}), result.get("learners", {}).get("default_policy", {})
    step = int(result["num_env_steps_sampled_lifetime"])
    returns, lengths, scores = np.array(recent).T if recent else ([], [], [])
    row = {
        "env_steps": step,
        "iteration": int(result["training_iteration"]),
        "seconds": round(seconds, 3),
        "steps_per_second": round((step - last["env_steps"]) / max(seconds - last["seconds"], 1e-9), 1),
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
