"""A Ray cluster of two machines on one, whose second machine can be lost and given back.

``python -m lukasa.benchmarks.machines CPUS`` holds it, and does what it reads line by line: ``lose`` or ``give``.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lukasa.launch.ray.folder import short_folder


@dataclass(frozen=True)
class Machines:
    """The cluster, in a process of its own.

    Attributes:
        address: HOST:PORT of its head.
        session: the folder of Ray's session.
        environment: of processes that join it; other settings of Ray's, such as its authentication, would not.
    """

    address: str
    session: str
    environment: dict[str, str]
    _holder: subprocess.Popen[str]

    def lose(self) -> None:
        """Kill the second machine: its raylet and what runs there."""
        self._do("lose")

    def give(self) -> None:
        """Add a second machine anew."""
        self._do("give")

    def kill(self, name: str) -> None:
        """Kill (SIGKILL) the newest process of the cluster's workers whose title has this name.

        Raises:
            LookupError: there is none.
        """
        found = workers_named(name, self.session)
        if not found:
            raise LookupError(f"no process of {self.session} is called {name!r}")
        os.kill(found[-1], signal.SIGKILL)

    def _do(self, what: str) -> None:
        assert self._holder.stdin
        assert self._holder.stdout
        self._holder.stdin.write(what + "\n")
        self._holder.stdin.flush()
        if self._holder.stdout.readline().strip() != what:
            raise RuntimeError(f"the cluster's process could not {what} a machine")


def workers_named(name: str, session: str) -> list[int]:
    """The workers of the Ray whose session lies in this folder and whose title has this name, the oldest first."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            title = (folder / "cmdline").read_bytes().decode(errors="replace")
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            raylet = Path(f"/proc/{parent}/cmdline").read_text()
        except (OSError, ValueError):
            continue
        if title.startswith("ray::") and name in title and session in raylet:
            found.append(int(folder.name))
    return sorted(found)


@contextlib.contextmanager
def two_machines(cpus: int = 1) -> Iterator[Machines]:
    """Two machines of so many CPUs each, for as long as the block lasts."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-m", "lukasa.benchmarks.machines", str(cpus)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    ) as holder:
        assert holder.stdin
        assert holder.stdout
        told = holder.stdout.readline().split()
        if len(told) != 2:
            raise RuntimeError("Ray could not start two machines here")
        try:
            yield Machines(told[0], told[1], environment, holder)
        finally:
            holder.stdin.close()


def hold(cpus: int) -> None:
    """Start the cluster, tell its address and session, and do what is read until there is no more."""
    from ray.cluster_utils import Cluster

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # Ray prints too
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": cpus, "include_dashboard": False})
    second = cluster.add_node(num_cpus=cpus)
    assert cluster.head_node
    print(cluster.address, cluster.head_node.get_session_dir_path(), file=answers, flush=True)
    for line in sys.stdin:
        if line.strip() == "lose":
            cluster.remove_node(second, allow_graceful=False)
        else:
            second = cluster.add_node(num_cpus=cpus)
        print(line.strip(), file=answers, flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    with short_folder() as short:
        if short:
            os.environ["RAY_TMPDIR"] = str(short)
        hold(int(sys.argv[1]))
