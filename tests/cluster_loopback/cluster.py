"""launch/cluster-onprem.yaml on the two machines of ``machine``: the commands that its users type, timed."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import yaml
from ray.util import get_node_ip_address

from tests.cluster_loopback.machine import HEAD, HOME, PORT, USER, WORKER

ROOT = Path(__file__).parents[2]
DASHBOARD = "http://127.0.0.1:8266"
SECONDS_TO_START, ATTEMPTS = 60, 4


@dataclass(frozen=True)
class Submitted:
    """One ``ray submit``.

    Attributes:
        first: seconds from the command to the first line of the run's metrics.
        whole: seconds until the command ended.
        output: what it said.
    """

    first: float
    whole: float
    output: str


class Cluster:
    """The cluster file, filled in as its first lines tell, and the launcher's surroundings.

    Args:
        folder: holds the private key; the launcher's home folder is made in it.
    """

    def __init__(self, folder: Path):
        home, self._key = folder / "home", folder / "key"
        home.mkdir()
        self._environment = os.environ | {"HOME": str(home), "RAY_TMPDIR": str(home), "RAY_AUTH_MODE": "token"}
        self._ray = str(Path(sys.executable).parent / "ray")
        self._file = folder / "cluster-onprem.yaml"
        config = yaml.safe_load((ROOT / "launch" / "cluster-onprem.yaml").read_text())
        config["provider"] |= {"head_ip": HEAD, "worker_ips": [WORKER]}
        config["auth"] |= {"ssh_user": USER, "ssh_private_key": str(self._key)}
        self._file.write_text(yaml.safe_dump(config, sort_keys=False))
        self._run("get-auth-token", "--generate")

    @property
    def address(self) -> str:
        """Of the head: that which `ray start` gives itself."""
        return f"{get_node_ip_address()}:{PORT}"

    def job(self, name: str, *words: str) -> str:
        """``ray job submit`` of a training run into ~/runs/NAME on the head; returns what it says."""
        train = f"{HOME}/lukasa/launch/train.py"
        out = f"{HOME}/runs/{name}"
        return self._run("job", "submit", "--address", DASHBOARD, "--", "python", train, *words, "--out", out)

    def up(self) -> float:
        """``ray up``, once more where a busy machine did not start within Ray's thirty seconds.

        Returns:
            The seconds of the one that succeeded.
        """
        for attempt in range(ATTEMPTS):
            started = time.monotonic()
            try:
                self._run("up", "--yes", "--no-config-cache", self._file)
                break
            except AssertionError as error:
                if "timed out during startup" not in str(error) or attempt == ATTEMPTS - 1:
                    raise
        return time.monotonic() - started

    def execute(self, command: str) -> str:
        """``ray exec``; returns what it says."""
        return self._run("exec", "--no-config-cache", self._file, command)

    def on(self, host: str, command: str) -> str:
        """A command on one machine, by ssh."""
        known = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
        words = ["ssh", "-i", str(self._key), *known, f"{USER}@{host}", f"bash --login -i -c '{command}'"]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout

    def wait_for_workers(self, machines: int = 2) -> float:
        """Seconds until the head knows this many machines.

        Ray grants a worker thirty seconds to start, which a busy machine can exceed, and its autoscaler does not try
        again: `ray up` once more does.
        """
        started = time.monotonic()
        for _ in range(ATTEMPTS):
            until = time.monotonic() + SECONDS_TO_START
            while time.monotonic() < until:
                if self.execute(f"ray list nodes --address {self.address}").count(" ALIVE ") >= machines:
                    return time.monotonic() - started
            self.up()
        raise AssertionError(self.execute("tail -50 ~/.lukasa/ray/session_latest/logs/monitor.out"))

    def submit(self, name: str, *words: str) -> Submitted:
        """``ray submit`` of a training run into ~/runs/NAME on the head."""
        metrics = HOME / "runs" / name / "metrics.jsonl"
        command = [self._ray, "submit", "--no-config-cache", str(self._file), str(ROOT / "launch" / "train.py")]
        started, first = time.monotonic(), None
        process = subprocess.Popen(
            [*command, "--", *words, "--out", f"runs/{name}"],
            cwd=ROOT,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        while process.poll() is None:
            if first is None and metrics.exists() and metrics.stat().st_size:
                first = time.monotonic() - started
            time.sleep(0.02)
        output = process.stdout.read()
        assert process.returncode == 0, output
        assert first is not None, output
        return Submitted(first, time.monotonic() - started, output)

    def _run(self, *words: object) -> str:
        command = [self._ray, *map(str, words)]
        done = subprocess.run(command, cwd=ROOT, env=self._environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{words}: {done.stdout[-6000:]}{done.stderr[-6000:]}"
        return done.stdout + done.stderr
