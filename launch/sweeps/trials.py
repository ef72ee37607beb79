"""Trials of a sweep under Ray Tune: each trains in its run directory, and ASHA stops those that fall behind.

The run directories are the only memory of a sweep. A trial that is begun again continues from its last checkpoint, and
what ended trials measured is told to the scheduler before the others go on.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.stopper import Stopper

from lukasa.launch.kinds.table import subject_of
from lukasa.launch.ray.placement import Bundle
from lukasa.launch.ray.quiet import quiet_libraries
from lukasa.launch.ray.session import check_visible
from lukasa.launch.runs.progress import make_reporter, show_score
from lukasa.launch.runs.stopping import Stop, stop_on_signals
from lukasa.launch.sweeps.sweep import DONE, FAILED, STOPPED, Sweep, results
from lukasa.launch.sweeps.trial import TrialRun

RESTARTS = 3
"""Times that a trial whose process was lost is begun again."""
TUNE_FOLDER = ".tune"


def run_trials(
    sweep: Sweep,
    bundles: dict[str, list[Bundle]],
    *,
    concurrent: int | None,
    stop: Stop,
) -> None:
    """Train all trials that have not ended, with Ray running; returns when they have, or when the user stops.

    Args:
        sweep: a sweep that this process holds.
        bundles: what each trial needs, by name.
        concurrent: trials at a time; as many as Ray has room for when None.
        stop: the user's wish.
    """
    waiting = sweep.waiting()
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"  # a run directory has all of it
    os.environ["TUNE_DISABLE_STRICT_METRIC_CHECKING"] = "1"  # a trial that fails at once has no score
    os.environ["TUNE_PRINT_ALL_TRIAL_ERRORS"] = "0"
    os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"  # signals are ours
    os.environ["RAY_CHDIR_TO_TRIAL_DIR"] = "0"  # paths in an experiment mean what they mean here
    path = sweep.path.resolve()
    shutil.rmtree(path / TUNE_FOLDER, ignore_errors=True)
    folders = {trial.name: str(path / "trials" / trial.name) for trial in waiting}

    def needs(config: dict[str, Any]) -> tune.PlacementGroupFactory:
        asked = bundles[Path(config["folder"]).name]
        return tune.PlacementGroupFactory([{name: many for name, many in one.items() if many} for one in asked])

    tuner = tune.Tuner(
        tune.with_resources(TrialRun, needs),
        param_space={"folder": tune.grid_search(list(folders.values()))},
        tune_config=tune.TuneConfig(scheduler=make_scheduler(sweep), max_concurrent_trials=concurrent),
        run_config=tune.RunConfig(
            name=TUNE_FOLDER,
            storage_path=str(path),
            stop=_Wished(stop),
            callbacks=[_Endings(sweep, stop)],
            failure_config=tune.FailureConfig(max_failures=RESTARTS),
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),  # runs have checkpoints of their own
        ),
    )
    with quiet_libraries(), open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        tuner.fit()
    shutil.rmtree(path / TUNE_FOLDER, ignore_errors=True)


def make_scheduler(sweep: Sweep) -> ASHAScheduler:
    """ASHA (Li et al. 2020), which knows what ended trials measured."""
    found = results(sweep)
    subject = subject_of(sweep.kind, found[0].experiment)
    steps = max(result.experiment.steps for result in found)
    scheduler = ASHAScheduler(
        time_attr="steps",
        metric="score",
        mode="max" if subject.higher_is_better else "min",
        max_t=steps,
        grace_period=min(sweep.settings["grace"], steps),
        reduction_factor=sweep.settings["reduction"],
    )
    controller: Any = None  # ASHA asks nothing of it
    for result in found:
        if result.ending == "unfinished":
            continue
        past: Any = SimpleNamespace(trial_id=f"ended-{result.trial.name}")
        scheduler.on_trial_add(controller, past)
        for reached, score in zip(result.steps, result.scores, strict=True):
            scheduler.on_trial_result(controller, past, {"steps": reached, "score": score})
    return scheduler


def check_machines(sweep: Sweep) -> None:
    """Have every machine of a cluster look for the sweep's folder; raises as ``ray_session.check_visible``."""
    import ray

    if len(ray.nodes()) > 1:
        check_visible(sweep.folder(sweep.trials[0]).resolve())


class _Wished(Stopper):
    """The user's wish ends all trials."""

    def __init__(self, stop: Stop):
        self._stop = stop

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return self._stop.signal is not None


class _Endings(tune.Callback):
    """Notes how trials end, and shows how far all are."""

    def __init__(self, sweep: Sweep, stop: Stop):
        self._sweep, self._stop = sweep, stop
        found = results(sweep)
        self._names = {result.trial.name: result for result in found}
        self._asked = {result.trial.name: result.experiment.steps for result in found}
        ended = sweep.endings()
        self._steps = {name: asked if name in ended else 0 for name, asked in self._asked.items()}
        self._started, self._before = time.monotonic(), sum(self._steps.values())
        subject = subject_of(sweep.kind, found[0].experiment)
        self._best_of: Callable[[Sequence[float]], float] = max if subject.higher_is_better else min
        self._scores = {result.trial.name: result.score for result in found if result.score is not None}
        self._reporter = make_reporter(
            sum(self._asked.values()), self._before, unit="steps", score=f"best {subject.unit}"
        )

    def setup(
        self, stop: Any = None, num_samples: int | None = None, total_num_samples: int | None = None, **info: Any
    ) -> None:
        self._reporter.__enter__()

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        name = _name(trial)
        if "score" in result:
            self._scores[name] = result["score"]
            self._steps[name] = max(self._steps[name], min(result["steps"], self._asked[name]))
        self._show()

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        name, result = _name(trial), trial.last_result or {}
        whole = result.get("whole") or result.get("steps", 0) >= self._asked[name]
        if self._stop.signal is not None and not whole and "failed" not in result:
            return  # the user's wish says nothing about the trial
        ending = f"{FAILED}: {result['failed']}" if "failed" in result else DONE if whole else STOPPED
        self._end(name, ending)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        if self._stop.signal is None:
            lines = [line for line in str(trial.get_error() or "its process was lost").splitlines() if line.strip()]
            self._end(_name(trial), f"{FAILED}: {lines[-1].strip()}")

    def on_experiment_end(self, trials: list[Any], **info: Any) -> None:
        self._reporter.__exit__()

    def _end(self, name: str, ending: str) -> None:
        self._sweep.note_ending(name, ending)
        self._steps[name] = self._asked[name]
        values = " ".join(f"{field}={value}" for field, value in self._names[name].trial.values.items())
        score = show_score(self._scores.get(name))
        print(f"trial {name} ({values}): {ending}, score {score}", file=sys.stderr, flush=True)
        self._show()

    def _show(self) -> None:
        done = sum(self._steps.values())
        rate = (done - self._before) / max(time.monotonic() - self._started, 1e-9)
        best = self._best_of(list(self._scores.values())) if self._scores else None
        self._reporter.update(done, best, rate)


def _name(trial: Any) -> str:
    return Path(trial.config["folder"]).name


def wish_to_stop() -> Any:
    """Begin to listen; entered after Ray has started."""
    return stop_on_signals("line of metrics of each trial")
