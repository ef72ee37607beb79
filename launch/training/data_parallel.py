"""Training batch by batch on several workers, with Ray Train: each learns from its share of every batch.

The workers hold equal weights and average their gradients. The first of them writes to the run directory, whose
checkpoints are the only ones: a worker that dies takes all of them back to the last.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, Self

import ray
import ray.train
import torch
from ray.train.torch import TorchConfig, TorchTrainer
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from lukasa.agents.learning import ALONE, ProcessGroup, Sharing
from lukasa.ground.mistakes import TrainingError, UserError
from lukasa.launch.ray.placement import Bundle, OnRay, Placement
from lukasa.launch.ray.quiet import quiet_libraries
from lukasa.launch.ray.session import check_visible
from lukasa.launch.runs.checkpoints import last_good, list_checkpoints, load_checkpoint, set_later_aside
from lukasa.launch.runs.directory import Run
from lukasa.launch.runs.endings import Outcome, Resume
from lukasa.launch.runs.progress import Reporter, Silence, make_reporter
from lukasa.launch.runs.stopping import stop_on_signals
from lukasa.launch.training.loop import Worker
from lukasa.launch.training.one_machine import OnOneMachine, are_on_one_machine

RESTARTS = 10
"""Times that workers are started anew within one sitting."""

SECONDS = 0.2
"""Between two looks at what workers tell, and at what the user wishes."""

Train = Callable[[Run, Any, "Resume | None", Worker], Outcome]
"""An importable function that trains in one process, as ``BatchJob.train`` of a kind."""


def on_workers(train: Train) -> OnRay[Any]:
    """How a kind that trains batch by batch uses Ray.

    Args:
        train: trains in one process; the experiment has ``batch_size``, ``threads`` and ``device``.
    """

    def on_ray(run: Run, experiment: Any, resume: Resume | None, placement: Placement) -> Outcome:
        return train_on_workers(train, run, experiment, resume, placement)

    return OnRay(_check_shares, _bundles, on_ray)


def train_on_workers(train: Train, run: Run, experiment: Any, resume: Resume | None, placement: Placement) -> Outcome:
    """Train until the experiment says, with Ray running; saves before it returns.

    Args:
        train: trains in one process.
        run: a run directory that this process holds.
        experiment: what to train.
        resume: the checkpoint to continue from.
        placement: how many workers, and their GPUs.

    Raises:
        UserError: a machine of the cluster does not see the run, or a worker cannot train there.
        TrainingError: the loss is not finite, or workers failed too often.
    """
    run = replace(run, path=run.path.resolve())
    if len(ray.nodes()) > 1:
        check_visible(run.path)
    if resume:
        set_later_aside(run.checkpoints, resume[0].step)  # workers continue from the last one
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    remote: Any = ray.remote(num_cpus=0)(Desk)
    desk = remote.options(scheduling_strategy=here).remote()
    task = {"train": train, "run": run, "experiment": experiment, "desk": desk}
    here_alone = placement.address is None and are_on_one_machine()
    fit = _Fit(_ray_trainer(task, run, _bundles(experiment, placement), here_alone))
    with stop_on_signals("batch") as stop, _Screen() as screen:
        fit.start()
        wished = False
        while fit.is_alive():
            fit.join(SECONDS)
            if stop.signal is not None and not wished:
                wished = bool(ray.get(desk.wish.remote(stop.signal)))
            for news in ray.get(desk.collect.remote()):
                screen.show(*news)
    return fit.outcome(run)


class Desk:
    """Where workers leave what they tell, and find what the user wishes."""

    def __init__(self) -> None:
        self._news: list[tuple[Any, ...]] = []
        self._signal: int | None = None

    def tell(self, *news: Any) -> None:
        """Leave something for the driver."""
        self._news.append(news)

    def collect(self) -> list[tuple[Any, ...]]:
        """What was told since the last time."""
        news, self._news = self._news, []
        return news

    def wish(self, number: int) -> bool:
        """Have the workers stop."""
        self._signal = number
        return True

    def wished(self) -> int | None:
        """The signal that the user stopped the run with."""
        return self._signal


class _Fit(threading.Thread):
    """Ray Train at work beside the main thread, which hears signals."""

    def __init__(self, trainer: TorchTrainer):
        super().__init__(daemon=True)
        self._trainer = trainer
        self._answer: Any = None

    def run(self) -> None:
        try:
            with quiet_libraries():
                self._answer = self._trainer.fit().return_value
        except Exception as error:  # told by outcome(), in the main thread
            self._answer = error

    def outcome(self, run: Run) -> Outcome:
        """What the first worker returned.

        Raises:
            TrainingError: what it raised; or that workers failed too often.
        """
        shutil.rmtree(run.path / ".ray", ignore_errors=True)
        if isinstance(self._answer, Outcome):
            return self._answer
        if isinstance(self._answer, TrainingError):
            raise self._answer
        failures = getattr(self._answer, "worker_failures", None) or {0: self._answer}
        rank, error = next(iter(failures.items()))
        words = [line for line in str(error).strip().splitlines() if line.strip()]
        what = words[-1].strip() if words else type(error).__name__
        raise TrainingError(f"worker {rank} failed more than {RESTARTS} times: {what}; {last_good(run.checkpoints)}")


class _Screen:
    """Shows in the driver what the workers tell."""

    def __init__(self) -> None:
        self._reporter: Reporter | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._reporter:
            self._reporter.__exit__(*error)

    def show(self, what: str, *told: Any) -> None:
        """Show one piece of news.

        Raises:
            UserError: it is a mistake of the user's that a worker found.
        """
        if what == "error":
            raise UserError(told[0])
        if what == "update" and self._reporter:
            self._reporter.update(*told)
        elif self._reporter is None:
            total, done, words = told
            self._reporter = make_reporter(total, done, **words)
            self._reporter.__enter__()
        else:
            _, done, words = told
            print(f"a worker was lost: all workers go on from {done:,} {words['unit']}", file=sys.stderr, flush=True)


class _Told:
    """A reporter that leaves everything on the desk."""

    def __init__(self, desk: Any, total: int, done: int, words: dict[str, str]):
        self._desk = desk
        desk.tell.remote("begin", total, done, words)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        return

    def update(self, done: int, score: float | None, rate: float, chance: float | None = None, stage: str = "") -> None:
        self._desk.tell.remote("update", done, score, rate, chance, stage)


class _SharedWish:
    """The user's wish to stop, heard by the first worker and by all after the same batch."""

    def __init__(self, desk: Any, sharing: Sharing):
        self._desk, self._sharing = desk, sharing
        self._heard: int | None = None
        self._asked = desk.wished.remote() if sharing.rank == 0 else None

    @property
    def signal(self) -> int | None:
        """The same answer for all workers, which have to ask together."""
        if self._asked is not None and ray.wait([self._asked], timeout=0)[0]:
            self._heard = ray.get(self._asked)
            self._asked = self._desk.wished.remote()
        return int(self._sharing.totals([self._heard or 0])[0]) or None


def _work(task: dict[str, Any]) -> Outcome | TrainingError:
    """One worker's part; what no restart would mend is returned, or told to the driver, which ends the run."""
    run, experiment, desk = task["run"], task["experiment"], task["desk"]
    torch.set_num_threads(experiment.threads)
    alone = ray.train.get_context().get_world_size() == 1
    sharing = ALONE if alone else ProcessGroup(experiment.device)

    def tell(total: int, done: int, **words: str) -> Reporter:
        return _Told(desk, total, done, words) if sharing.rank == 0 else Silence()

    worker = Worker(sharing, lambda: nullcontext(_SharedWish(desk, sharing)), tell)
    try:
        return task["train"](run, experiment, _last_checkpoint(run, sharing), worker)
    except TrainingError as error:
        return error  # as all workers do, after the same batch
    except UserError as error:
        ray.get(desk.tell.remote("error", f"worker {sharing.rank} cannot train: {error}"))
        raise


def _last_checkpoint(run: Run, sharing: Sharing) -> Resume | None:
    """The last checkpoint as the first worker sees it; None where there is none."""
    checkpoints = {one.step: one for one in list_checkpoints(run.checkpoints)}
    step = int(sharing.totals([max(checkpoints, default=-1) if sharing.rank == 0 else 0])[0])
    return (checkpoints[step], load_checkpoint(checkpoints[step])) if step >= 0 else None


def _ray_trainer(task: dict[str, Any], run: Run, bundles: list[Bundle], here_alone: bool) -> TorchTrainer:
    os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.5")
    os.environ.setdefault("RAY_CHDIR_TO_TRIAL_DIR", "0")  # paths in an experiment mean what they mean here
    shutil.rmtree(run.path / ".ray", ignore_errors=True)
    backend = "nccl" if task["experiment"].device == "cuda" else "gloo"
    meeting = OnOneMachine(backend) if here_alone else TorchConfig(backend)
    return TorchTrainer(
        _work,
        train_loop_config=task,
        torch_config=meeting,
        scaling_config=ray.train.ScalingConfig(
            num_workers=len(bundles), use_gpu=bundles[0]["GPU"] > 0, resources_per_worker=dict(bundles[0])
        ),
        run_config=ray.train.RunConfig(
            name=".ray",
            storage_path=str(run.path),
            failure_config=ray.train.FailureConfig(max_failures=RESTARTS),
        ),
    )


def _check_shares(experiment: Any, placement: Placement) -> Any:
    workers, gpus = placement.workers or 1, placement.gpus_per_worker
    if experiment.batch_size % workers:
        raise UserError(
            f"a batch of {experiment.batch_size} cannot be shared evenly by {workers} workers: "
            f"give a --batch-size that {workers} divides, or another number of --workers"
        )
    if gpus and experiment.device != "cuda":
        raise UserError(f"--gpus-per-worker {gpus:g} would stand idle: add --device cuda")
    if gpus == 0 and experiment.device == "cuda":
        raise UserError("--device cuda needs GPUs: leave --gpus-per-worker 0 out, or take --device cpu")
    return experiment


def _bundles(experiment: Any, placement: Placement) -> list[Bundle]:
    gpus = placement.gpus_per_worker
    gpus = float(experiment.device == "cuda") if gpus is None else gpus
    return [{"CPU": experiment.threads, "GPU": gpus}] * (placement.workers or 1)
