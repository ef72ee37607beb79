"""``lukasa serve``: an agent out of its file over HTTP, by Ray Serve."""

from __future__ import annotations

import signal
import socket
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from lukasa.ground.mistakes import UserError, as_user_error
from lukasa.launch.cli.play import agent_file
from lukasa.launch.options.bounds import check_least
from lukasa.launch.options.fields import Switch, split_words
from lukasa.launch.options.parsing import parse
from lukasa.launch.options.program import command


@dataclass(frozen=True)
class ServeOptions:
    """Serve an agent over HTTP, with a session for each player; ctrl-C ends it.

    Attributes:
        port: port to listen on.
        host: address to listen on; only this machine reaches the default.
        replicas: processes that play, each with sessions of its own.
        sessions: limit of the sessions that each process keeps.
        expire: seconds after which a session that nobody asks for is let go.
        explore: draw actions instead of taking the likeliest.
        seed: makes the drawn actions repeat.
        trust_core: import the core that the file names, where it is not one of lukasa's.
        address: of the Ray cluster to serve on, HOST:PORT; a Ray on this machine by default.
    """

    port: int = 8000
    host: str = "127.0.0.1"
    replicas: int = 1
    sessions: int = 10_000
    expire: float = 3600.0
    explore: Switch = False
    seed: int | None = None
    trust_core: Switch = False
    address: str | None = None


def main(argv: Sequence[str]) -> int:
    """Serve until interrupted; returns the exit code."""
    words, rest = split_words(argv)
    options = parse(ServeOptions, rest, prog="lukasa serve FILE")
    if len(words) != 1:
        raise UserError("lukasa serve takes one file: lukasa serve agent.lukasa")
    check_least(options, replicas=1, sessions=1)
    if not options.expire > 0:
        raise UserError(f"option --expire is {options.expire:g}: expected more than 0")
    _check_port(options.host, options.port)
    path = agent_file(words[0])
    with as_user_error():
        from lukasa.agents.portable import load_agent

        agent = load_agent(path, trust_core=options.trust_core)  # refused here, rather than in a replica
    from lukasa.launch.serving.deployment import served

    over = threading.Event()
    before = {one: signal.signal(one, lambda *_: over.set()) for one in (signal.SIGINT, signal.SIGTERM)}
    how = {"replicas": options.replicas, "most": options.sessions, "expire": options.expire, "address": options.address}
    drawn = {"explore": options.explore, "seed": options.seed, "trust_core": options.trust_core}
    try:
        with served(path, port=options.port, host=options.host, **how, **drawn) as url:
            played = command("play", url, "--env", str(agent.about.get("env", "ENV")))
            print(f"{agent.name}, {options.replicas} replicas; play it with\n  {played}", file=sys.stderr)
            print(url, flush=True)
            while not over.wait(0.5):  # a wait without end would not hear signals everywhere
                pass
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
    return 0


def _check_port(host: str, port: int) -> None:
    if not 0 < port < 65536:
        raise UserError(f"option --port is {port}: expected a number from 1 to 65535")
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        raise UserError(
            f"--host {host} --port {port} cannot be listened on ({error.strerror}): choose another"
        ) from None
