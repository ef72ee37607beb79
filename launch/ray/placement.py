"""Where a run computes: in this process, or on Ray's workers, whose options are the same for every kind of training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from lukasa.ground.mistakes import UserError
from lukasa.launch.options.bounds import check_least
from lukasa.launch.options.fields import Switch
from lukasa.launch.runs.directory import Run
from lukasa.launch.runs.endings import Outcome, Resume

Experiment = TypeVar("Experiment")
Bundle = Mapping[str, float]
"""What one worker needs, by Ray's names: {"CPU": 1, "GPU": 0.5}."""

OPTIONS: tuple[tuple[str, Any, Any, str], ...] = (
    ("ray", Switch, False, "train on Ray: on this machine, or on the cluster at --address."),
    ("address", str | None, None, "with --ray: the cluster's HOST:PORT; a Ray of this run's own by default."),
    ("workers", int | None, None, "with --ray: processes that train together, of rl those that sample; 1 by default."),
    ("gpus_per_worker", float | None, None, "with --ray: GPUs of each worker, of rl those of each learner."),
)
"""Options of the command line beside the experiment: name, type, default, help."""


@dataclass(frozen=True)
class Placement:
    """On Ray, and how.

    Attributes:
        address: HOST:PORT of a cluster; None starts Ray for this run alone.
        workers: how many were asked for, None where nobody said.
        gpus_per_worker: likewise.
    """

    address: str | None = None
    workers: int | None = None
    gpus_per_worker: float | None = None

    def words(self) -> list[str]:
        """The options that ask for it."""
        given = {"--address": self.address, "--workers": self.workers, "--gpus-per-worker": self.gpus_per_worker}
        return ["--ray", *(str(word) for item in given.items() if item[1] is not None for word in item)]


@dataclass(frozen=True)
class OnRay(Generic[Experiment]):
    """How one kind of training uses Ray.

    Attributes:
        adapt: the experiment as these workers run it; refuses what they cannot share.
        bundles: what each worker needs.
        train: trains; called with the run locked and Ray running.
    """

    adapt: Callable[[Experiment, Placement], Experiment]
    bundles: Callable[[Experiment, Placement], list[Bundle]]
    train: Callable[[Run, Experiment, Resume | None, Placement], Outcome]


def read_placement(options: Any) -> Placement | None:
    """The placement that parsed options ask for, None for this process.

    Raises:
        UserError: an option of Ray's comes without ``--ray``, or a number is too small.
    """
    placement = Placement(options.address, options.workers, options.gpus_per_worker)
    if not options.ray:
        if len(alone := placement.words()) > 1:
            raise UserError(f"{alone[1]} says how to use Ray: it needs --ray")
        return None
    check_least(placement, workers=1, gpus_per_worker=0)
    return placement


def own_bundles(experiment: Any, cpus: int | None = None, gpus: float | None = None) -> list[Bundle]:
    """What a run that is trained without ``--ray`` needs: its own process first, then the processes that it starts.

    Args:
        experiment: what it trains.
        cpus: of its own process; its threads when None.
        gpus: of its own process; one when None and it trains on a GPU.
    """
    on_gpu = getattr(experiment, "device", "cpu") == "cuda"
    runners, learners = getattr(experiment, "runners", 0), getattr(experiment, "learners", 0)
    others = runners + learners * (1 + getattr(experiment, "aggregators", 0))
    own: Bundle = {"CPU": cpus or experiment.threads, "GPU": float(on_gpu) if gpus is None else gpus}
    return [own, *[{"CPU": 1.0}] * others]
