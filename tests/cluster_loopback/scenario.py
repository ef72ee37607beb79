"""What a user of launch/cluster-onprem.yaml does, from ``ray up`` to the last process ended, and what it took."""

import contextlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.cluster_loopback.cluster import Cluster, Submitted
from tests.cluster_loopback.machine import HOME, WORKER, processes_of_user, run, two_machines

TRAINING = ["rl", "repeat_previous_ntm", "--workers", "2", "--steps", "1000"]
"""One batch of a recipe, sampled by an env runner on each machine."""


@dataclass
class Seen:
    """What happened.

    Attributes:
        up: seconds of `ray up`.
        workers: seconds from its end until the head knows both machines.
        submits: every `ray submit`.
        trained: seconds of each until its first result that were training, by its own metrics.
        job: seconds of `ray job submit`.
        job_output: what that said.
        without_token: what the cluster says to one who has no token.
        stopped: what node_stop.py said on the head.
        left: what of Ray still runs on either machine after it was called on both.
        load: load average of the machine, at the start and at the end.
    """

    up: float = 0.0
    workers: float = 0.0
    submits: list[Submitted] = field(default_factory=list)
    trained: list[float] = field(default_factory=list)
    job: float = 0.0
    job_output: str = ""
    without_token: str = ""
    stopped: str = ""
    left: list[str] = field(default_factory=list)
    load: list[float] = field(default_factory=list)


def play(folder: Path, submits: int) -> Seen:
    """Everything once, `ray submit` several times.

    Args:
        folder: an empty folder for keys and logs.
        submits: how often.
    """
    seen = Seen(load=[os.getloadavg()[0]])
    with two_machines(folder):
        cluster = Cluster(folder)
        with log_kept(folder):
            seen.up = cluster.up()
            seen.workers = cluster.wait_for_workers()
            for number in range(submits):
                seen.submits.append(cluster.submit(f"submit-{number}", *TRAINING))
                metrics = HOME / "runs" / f"submit-{number}" / "metrics.jsonl"
                seen.trained.append(json.loads(metrics.read_text().splitlines()[0])["seconds"])
            started = time.monotonic()
            seen.job_output = cluster.job("job", *TRAINING)
            seen.job = time.monotonic() - started
            asked = f"ray status --address {cluster.address}"
            seen.without_token = cluster.execute(f"RAY_AUTH_MODE=disabled {asked} || true")
            seen.stopped = cluster.execute("python ~/lukasa/launch/clusters/node_stop.py")
            cluster.on(WORKER, "python ~/lukasa/launch/clusters/node_stop.py")
        seen.left = what_is_left_of_ray()
    seen.load.append(os.getloadavg()[0])
    return seen


def what_is_left_of_ray() -> list[str]:
    """Command lines of the user's processes that are Ray's; workers get ten seconds to see that their raylet ended."""
    until = time.monotonic() + 10
    while True:
        found = []
        for process in processes_of_user():
            with contextlib.suppress(OSError):
                found.append((Path("/proc") / str(process) / "cmdline").read_text().replace("\0", " "))
        # ssh's own: sessions, and connections that the autoscaler kept open to the worker.
        found = [one for one in found if "ray" in one and not one.startswith(("ssh", "sshd"))]
        if not found or time.monotonic() > until:
            return found
        time.sleep(0.3)


@contextlib.contextmanager
def log_kept(folder: Path) -> Iterator[None]:
    """Copy the autoscaler's log out of the user's home before that goes, where something went wrong."""
    try:
        yield
    except BaseException:
        logs = HOME / ".lukasa" / "ray" / "session_latest" / "logs"
        run("cp", "--recursive", "--dereference", logs, folder / "logs")
        raise
