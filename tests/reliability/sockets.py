"""What listens while a run trains and an agent is served: nothing that another machine reaches, unless asked."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from tests.launch.mutations import Campaign
from tests.launch.small_runs import RUNS
from tests.reliability.commands import Command
from tests.reliability.kills import RL

LOOPBACK = ("127.", "::1", "::ffff:127.")
LONG = {
    "task": RUNS["task"].replace("--steps 40", "--steps 100000000"),
    "task --ray": RUNS["task"].replace("--steps 40", "--steps 100000000") + " --ray",
    "rl": RL.replace("--steps 1280", "--steps 100000000"),
    "rl --ray": RL.replace("--steps 1280", "--steps 100000000") + " --ray --workers 1",
}


def listening(pid: int) -> list[tuple[str, str, int]]:
    """Program, address and port of what a process and those that it started listen on."""
    found = []
    for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
        with contextlib.suppress(psutil.Error):
            found += [
                (process.name(), one.laddr.ip, one.laddr.port)
                for one in process.net_connections("inet")
                if one.status == psutil.CONN_LISTEN
            ]
    return found


@contextlib.contextmanager
def at_work(words: list[str], folder: Path, begun: str, *, alone: bool) -> Iterator[Command]:
    """A command that has come as far as to print or write something; ended at the end."""
    command = Command(words, folder, alone=alone)
    try:
        end = time.monotonic() + 280
        while not (list(folder.glob(begun)) or command.has_said(begun)):
            assert command.runs(), f"{words} ended: {command.wait().told}"
            assert time.monotonic() < end, f"{words} does not begin"
            time.sleep(0.1)
        yield command
    finally:
        command.stop()
        with contextlib.suppress(AssertionError):
            command.wait(60)


def open_to_others(pid: int, expected: int) -> str:
    """Check what listens; "right" where all of it is on loopback."""
    found = listening(pid)
    others = [one for one in found if not one[1].startswith(LOOPBACK)]
    assert not others, f"other machines reach {others}"
    assert len(found) >= expected, f"{len(found)} ports, expected at least {expected}: was it looked at too early?"
    return "right"


def training(kinds: tuple[str, ...], folder: Path) -> Campaign:
    """Look at runs of some kinds while they train."""
    tried = Campaign()
    for number, kind in enumerate(kinds):
        path, with_ray = folder / f"run-{number}", "--ray" in kind or kind.startswith("rl")
        words = [*LONG[kind].split(), "--out", str(path)]

        def look(words=words, path=path, with_ray=with_ray) -> str:
            with at_work(words, path, "checkpoints/step-*", alone=with_ray) as command:
                return open_to_others(command.pid, 1 if with_ray else 0)

        tried.attempt(kind, look)
    return tried


def serving(folder: Path) -> Campaign:
    """Look at an agent that is served."""
    from tests.reliability.cut_files import write_agent

    tried, agent = Campaign(), folder / "agent.lukasa"
    write_agent(agent)
    words = ["serve", str(agent), "--port", str(_free_port())]

    def look() -> str:
        with at_work(words, folder / "served", "http://", alone=True) as command:
            return open_to_others(command.pid, 2)

    tried.attempt("serve", look)
    return tried


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
