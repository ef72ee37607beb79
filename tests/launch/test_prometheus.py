"""Metrics of a run at Ray's Prometheus endpoint, which only this machine can reach."""

import os
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest

pytestmark = pytest.mark.ray

PROGRAM = """
import sys
from pathlib import Path
import ray
from lukasa.launch.ray.session import running_ray
from lukasa.launch.runs.directory import Run
from lukasa.launch.runs.metrics import MetricsWriter

with running_ray(1):
    MetricsWriter(Run(Path(sys.argv[1]))).write(
        {"env_steps": 512, "steps_per_second": 12.5, "return_mean": None, "grad_norm/core": 0.25, "größe": 3}
    )
    print(ray.nodes()[0]["MetricsExportPort"], flush=True)
    sys.stdin.read()
"""


def listening(port: int, sockets: set[str]) -> set[str]:
    """The addresses at which some sockets listen on a port, as the kernel writes them."""
    lines = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()]
    ends = [(*line[1].split(":"), line[9]) for line in lines if len(line) > 9 and line[3] == "0A"]
    return {address for address, end, inode in ends if int(end, 16) == port and f"socket:[{inode}]" in sockets}


def sockets_below(process: int) -> set[str]:
    """What the descendants of a process hold: another Ray may have the same port at another address."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    below = {process}
    while more := {child for child, parent in parents.items() if parent in below} - below:
        below |= more
    found = set()
    for one in below:
        with suppress(OSError):
            found |= {os.readlink(file) for file in Path(f"/proc/{one}/fd").iterdir()}
    return found


def served(port: int) -> list[str]:
    """The metrics of ours that are served, once there are some."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                lines = answer.read().decode().splitlines()
        except OSError:
            lines = []
        if found := [line for line in lines if line.startswith("ray_lukasa_")]:
            return found
        time.sleep(0.5)
    return []


@pytest.mark.slow
def test_endpoint_on_loopback_serves_the_newest_line_of_metrics_to_this_machine_alone(tmp_path):
    run = tmp_path / "maze é"
    run.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(run)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        port = int(process.stdout.readline())
        lines = served(port)
        values = {line.partition("{")[0]: float(line.rpartition(" ")[2]) for line in lines}
        assert values == {
            "ray_lukasa_env_steps": 512,
            "ray_lukasa_steps_per_second": 12.5,
            "ray_lukasa_grad_norm_core": 0.25,
            "ray_lukasa_gr_e": 3,
        }
        assert all('run="maze ' in line and 'xe9"' in line for line in lines)
        loopback = {"0100007F", "0000000000000000FFFF00000100007F"}
        found = listening(port, sockets_below(process.pid))
        assert found
        assert found <= loopback
    finally:
        process.communicate()
