"""An agent behind HTTP, by Ray Serve: each replica keeps the sessions that began with it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from lukasa.ground.mistakes import UserError
from lukasa.launch.ray.session import running_ray

LOOPBACK = "127.0.0.1"
MISSING = "lukasa serve needs Ray Serve, which is not installed: pip install 'lukasa[serve]'"


def replica_path(replica: int) -> str:
    """Where a replica answers: the first at /, the others at /1, /2 and so on."""
    return f"/{replica}" if replica else "/"


@contextmanager
def served(
    path: Path,
    *,
    port: int,
    host: str = LOOPBACK,
    replicas: int = 1,
    most: int = 10_000,
    expire: float = 3600.0,
    explore: bool = False,
    seed: int | None = None,
    trust_core: bool = False,
    address: str | None = None,
) -> Iterator[str]:
    """Serve an agent for as long as the block lasts; gives the address that clients take.

    Args:
        path: the agent's file.
        port: to listen on.
        host: to listen on; by default only this machine reaches it.
        replicas: processes, each with sessions of its own.
        most: sessions that each keeps at most.
        expire: seconds after which a session that nobody asks for is let go.
        explore: draw the actions.
        seed: makes them repeat.
        trust_core: import the core that the file names.
        address: of a Ray cluster to serve on; a Ray on this machine alone when None.

    Raises:
        UserError: Ray Serve is not installed, or does not start.
    """
    try:
        from ray import serve
    except ImportError:
        raise UserError(MISSING) from None
    if _opener() is None:
        print(
            "warning: with this version of Ray, other machines may reach the port by which replicas reach each other",
            file=sys.stderr,
        )
    content = path.read_bytes()
    options = {"explore": explore, "seed": seed, "trust_core": trust_core}
    with running_ray(cpus=replicas + 2 if address is None else None, address=address):
        serve.start(http_options={"host": host, "port": port, "location": "HeadOnly"})
        try:
            for number in range(replicas):
                limits = {"most": most, "expire": expire, "replica": number, "replicas": replicas}
                application = _deployment(number).bind(content, path.name, options, limits)
                serve.run(application, name=f"agent-{number}", route_prefix=replica_path(number))
            yield f"http://{host}:{port}"
        finally:
            serve.shutdown()


def _deployment(number: int) -> Any:
    from ray import serve

    shape: dict[str, Any] = {"num_replicas": 1, "max_ongoing_requests": 100, "ray_actor_options": {"num_cpus": 1}}
    return serve.deployment(**shape, name=f"replica-{number}")(Replica)


class Replica:
    """A process that plays, with the sessions that began with it."""

    def __init__(self, content: bytes, name: str, options: dict[str, Any], limits: dict[str, Any]):
        import tempfile

        import torch

        from lukasa.agents.portable import load_agent
        from lukasa.launch.serving.desk import Desk

        torch.set_num_threads(1)
        _listen_on_own_address_alone()
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / name
            file.write_bytes(content)
            seed = options["seed"]
            own: dict[str, Any] = options | {"seed": None if seed is None else seed + limits["replica"]}
            self.desk = Desk(load_agent(file, **own), **limits)

    async def __call__(self, request: Any) -> Any:
        """Answer one request."""
        from starlette.responses import JSONResponse

        path = request.url.path.removeprefix(request.scope.get("root_path", "").rstrip("/"))
        status, reply = self.desk.answer(request.method, path, await _body(request))
        return JSONResponse(reply, status_code=status)


def _listen_on_own_address_alone() -> None:
    """Have the port by which replicas reach each other on the address of this machine's Ray, loopback by default.

    Ray Serve opens it after a replica is made, on all addresses, and has no option for it.
    """
    from ray.util import get_node_ip_address

    replica = _opener()
    if replica is None:  # which the driver has said
        return
    own, here = replica.add_port_to_grpc_server, get_node_ip_address()
    here = f"[{here}]" if ":" in here else here
    replica.add_port_to_grpc_server = lambda server, address: own(server, address.replace("[::]", here))


def _opener() -> Any:
    """Ray Serve's module that opens the port, for which Ray has no public name; None where another version has none."""
    try:
        found = import_module("ray.serve._private.replica")
    except ImportError:
        return None
    return found if hasattr(found, "add_port_to_grpc_server") else None


async def _body(request: Any) -> bytes:
    """What was sent, or the beginning of it where it is longer than the desk reads."""
    from lukasa.launch.serving.desk import LARGEST

    parts, length = [], 0
    async for part in request.stream():
        parts.append(part)
        length += len(part)
        if length > LARGEST:
            break
    return b"".join(parts)
