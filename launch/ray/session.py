"""Ray, started by us on this machine or joined at an explicit address; never one that happens to be found.

What was asked of a cluster is compared with what it has at once, rather than left pending for ever.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import ray
from ray._private import ray_constants
from ray._private.state import state as cluster_state
from ray._raylet import GcsClient  # pyright: ignore[reportAttributeAccessIssue]
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from lukasa.ground.mistakes import UserError
from lukasa.launch.ray.folder import short_folder
from lukasa.launch.ray.placement import Bundle

OBJECT_STORE_BYTES = 200_000_000
SECONDS_TO_ANSWER = 5.0

_HTTP2_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_HTTP2_SETTINGS = 4


@contextmanager
def running_ray(cpus: int | None = None, address: str | None = None) -> Iterator[None]:
    """Ray, for as long as the block lasts; one that this process already uses is left as it is.

    Args:
        cpus: logical CPUs of a Ray that is started here; those of the machine when None.
        address: HOST:PORT of a cluster to join; a Ray on this machine alone when None.

    Raises:
        UserError: there is no such cluster, it cannot be joined, none starts here in time, or no folder here is
            short enough for Ray's sockets.
    """
    if ray.is_initialized():
        _check_same_cluster(address)
        yield
        return
    os.environ["OMP_NUM_THREADS"] = "1"  # inherited by the workers that are started here
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    with nullcontext() if address else short_folder() as folder:
        _join(address) if address else _start(cpus, folder)
        try:
            yield
        finally:
            ray.shutdown()


def _start(cpus: int | None, folder: Path | None) -> None:
    elsewhere: Any = {"_temp_dir": str(folder)} if folder else {}
    try:
        with _native_stderr_off(), _loopback_only():
            ray.init(
                address="local",
                num_cpus=cpus,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                object_store_memory=OBJECT_STORE_BYTES * max(1, cpus or 1),
                _node_ip_address="127.0.0.1",
                **elsewhere,
            )
    except Exception as error:  # of no class of its own
        if "timed out during startup" not in str(error):
            raise
        raise UserError(
            f"Ray did not start on this machine in the time it allows itself (load {os.getloadavg()[0]:.0f}): run this "
            "again when less else is running"
        ) from error


@contextmanager
def _loopback_only() -> Iterator[None]:
    """Have a Ray that is started meanwhile listen on loopback alone.

    Ray replaces the address 127.0.0.1 by one that other machines reach, and then listens on all of them, unless it is
    told that this is no machine for clusters.
    """
    kept, variable = ray_constants.ENABLE_RAY_CLUSTER, ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR
    before = os.environ.get(variable)
    ray_constants.ENABLE_RAY_CLUSTER = False
    os.environ[variable] = "0"  # for the processes that are started
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = kept
        os.environ.pop(variable) if before is None else os.environ.update({variable: before})


def check_address(address: str) -> None:
    """Refuse what is no cluster of our Ray, at once.

    Raises:
        UserError: the address cannot be read, nothing or something else answers there, or another version.
    """
    host, port = _host_and_port(address)
    _check_ray_answers(host, port)
    _check_versions(address)


def _join(address: str) -> None:
    check_address(address)
    try:
        with _native_stderr_off():
            ray.init(
                address=address,
                log_to_driver=False,
                logging_level=logging.ERROR,
                runtime_env={"env_vars": {"OMP_NUM_THREADS": "1"}},
            )
    except (RuntimeError, ConnectionError, ValueError, RayError) as error:
        first = str(error).strip().split("\n")[0].rstrip(".")
        raise UserError(
            f"the Ray cluster at {address} cannot be joined from this machine: {first}: run the command on one of its "
            "machines, as `ray submit` and `ray job submit` do"
        ) from None


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise UserError(f"--address {address} is no address of a Ray cluster: expected HOST:PORT such as 10.0.0.5:6379")
    return host, int(port)


def _check_ray_answers(host: str, port: int) -> None:
    """Refuse an address where nothing listens, or something that is not Ray: Ray itself would wait for minutes."""
    where = f"--address {host}:{port}"
    try:
        with socket.create_connection((host, port), SECONDS_TO_ANSWER) as connection:
            connection.settimeout(SECONDS_TO_ANSWER)
            connection.sendall(_HTTP2_GREETING)
            answer = connection.recv(9)
    except TimeoutError:
        answer = b""
    except OSError as error:
        raise UserError(
            f"{where} does not answer ({error.strerror or error}): is the cluster up, and is this its head's address?"
        ) from None
    if len(answer) < 4 or answer[3] != _HTTP2_SETTINGS:
        raise UserError(f"{where} answers, but not as Ray does: give the port of the head (`ray start --head --port`)")


def _check_versions(address: str) -> None:
    """Refuse a cluster of another Ray or Python, whose workers could not read what we send.

    Raises:
        UserError: the versions differ, or the cluster does not let us ask.
    """
    try:
        with _native_stderr_off():
            found = GcsClient(address=address).internal_kv_get(
                b"CLUSTER_METADATA", b"cluster", timeout=SECONDS_TO_ANSWER
            )
    except (RuntimeError, RayError) as error:
        first = str(error).strip().split("\n")[0].rstrip(".")
        raise UserError(
            f"the Ray cluster at {address} refuses us: {first}: does ~/.ray/auth_token hold the cluster's token?"
        ) from None
    theirs: dict[str, Any] = json.loads(found) if found else {}
    for name, ours in (("Ray", ray.__version__), ("Python", platform.python_version())):
        their = theirs.get(f"{name.lower()}_version", ours)
        if their != ours:
            raise UserError(
                f"the Ray cluster at {address} runs {name} {their}, this process {name} {ours}: "
                "install the same version on both"
            )


def _check_same_cluster(address: str | None) -> None:
    joined = ray.get_runtime_context().gcs_address
    if address not in (None, joined):
        raise UserError(f"this process already uses the Ray at {joined}, not {address}: leave --address out")


def check_resources(bundles: Sequence[Bundle], advice: str = "ask for fewer --workers, or for less each") -> None:
    """Compare what the workers need with what the cluster has, or may grow to where it scales by itself.

    Args:
        bundles: what each worker needs.
        advice: what to do where it is more.

    Raises:
        UserError: it is more; the message has both numbers.
    """
    has = ray.cluster_resources()
    grows = cluster_state.get_max_resources_from_cluster_config()
    machines = [machine["Resources"] for machine in ray.nodes() if machine["Alive"]]
    for name in dict.fromkeys(name for bundle in bundles for name in bundle):
        each = [bundle[name] for bundle in bundles if bundle.get(name)]
        limit = max(has.get(name, 0), (grows or {}).get(name, 0))
        if sum(each) > limit:
            raise UserError(
                f"{_counted(sum(each), name)} needed for {_counted(len(each), 'worker')}, and the Ray cluster "
                f"{'may grow to' if grows else 'has'} {limit:g}: {advice}"
            )
        largest = max(machine.get(name, 0) for machine in machines)
        if not grows and max(each, default=0) > largest:
            raise UserError(
                f"{_counted(max(each), name)} needed for 1 worker, and no machine of the Ray cluster has more than "
                f"{largest:g}: ask for less"
            )


def room(bundles: Sequence[Bundle]) -> int:
    """How many times the cluster has, or may grow to, what one group of workers needs; at least 1.

    Args:
        bundles: what each worker of a group needs.
    """
    has = ray.cluster_resources()
    grows = cluster_state.get_max_resources_from_cluster_config() or {}
    needs = {name: sum(bundle.get(name, 0) for bundle in bundles) for name in ("CPU", "GPU")}
    fits = [max(has.get(name, 0), grows.get(name, 0)) // need for name, need in needs.items() if need]
    return max(1, int(min(fits, default=1)))


def _counted(number: float, name: str) -> str:
    return f"{number:g} {name}{'' if number == 1 else 's'}"


def check_visible(folder: Path) -> None:
    """Have every machine of the cluster look for a run's folder, with the code that is to train there.

    Args:
        folder: an absolute path that holds ``config.json``.

    Raises:
        UserError: a machine does not see it, or cannot import lukasa.
    """
    machines = {one["NodeID"]: one["NodeManagerAddress"] for one in ray.nodes() if one["Alive"]}
    look: Any = ray.remote(num_cpus=0, max_retries=0)(_sees)
    asked = {
        address: look.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote(folder)
        for node, address in machines.items()
    }
    for address, answer in asked.items():
        try:
            sees = ray.get(answer)
        except RayTaskError as error:
            cause = str(error.cause)
            raise UserError(f"machine {address} of the cluster cannot run lukasa: {cause}: install it there") from None
        if not sees:
            raise UserError(
                f"machine {address} of the cluster does not see {folder}: give an --out on storage that all its "
                f"{len(machines)} machines share, by the same absolute path"
            )


def _sees(folder: Path) -> bool:
    return (folder / "config.json").is_file()


@contextmanager
def _native_stderr_off() -> Iterator[None]:
    """Drop what native code writes to stderr: Ray announces there that it took its log level from our variable."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
