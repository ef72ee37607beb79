"""Addresses that are no cluster of ours."""

import json
import socket

import pytest
import ray

from lukasa.ground.mistakes import UserError
from lukasa.launch.ray import session as ray_session

pytestmark = pytest.mark.ray


@pytest.mark.parametrize(
    "address", ["auto", "local", "ray://127.0.0.1:10001", "127.0.0.1", "127.0.0.1:port", "127.0.0.1:²", ":6379"]
)
def test_what_is_no_address_is_refused(address):
    with pytest.raises(UserError, match=r"is no address of a Ray cluster: expected HOST:PORT"):
        ray_session.check_address(address)


def test_address_where_nothing_listens_is_told_at_once():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(UserError, match=f"--address {address} does not answer \\(Connection refused\\)"):
            ray_session.check_address(address)


@pytest.mark.parametrize("answer", [None, b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_address_where_something_else_answers_is_told(monkeypatch, answer):
    monkeypatch.setattr(ray_session, "SECONDS_TO_ANSWER", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        if answer:
            import threading

            threading.Thread(target=lambda: server.accept()[0].sendall(answer), daemon=True).start()
        with pytest.raises(UserError, match="answers, but not as Ray does"):
            ray_session.check_address(f"127.0.0.1:{server.getsockname()[1]}")


def test_cluster_of_another_version_is_refused(ray_cluster):
    import ray
    from ray._raylet import GcsClient

    address = ray.get_runtime_context().gcs_address
    ray_session.check_address(address)
    cluster = GcsClient(address=address)
    kept = cluster.internal_kv_get(b"CLUSTER_METADATA", b"cluster", timeout=5)
    other = json.dumps(json.loads(kept) | {"ray_version": "2.9.0"}).encode()
    cluster.internal_kv_put(b"CLUSTER_METADATA", other, True, b"cluster", timeout=5)
    try:
        with pytest.raises(UserError, match=f"runs Ray 2.9.0, this process Ray {ray.__version__}: install the same"):
            ray_session.check_address(address)
    finally:
        cluster.internal_kv_put(b"CLUSTER_METADATA", kept, True, b"cluster", timeout=5)


def test_ray_that_does_not_start_in_time_is_one_sentence(monkeypatch):
    def late(**_):
        raise Exception("The current node timed out during startup. This could happen because ...")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", late)
    sentence = "did not start on this machine in the time it allows itself"
    with pytest.raises(UserError, match=sentence), ray_session.running_ray(1):
        pass


def test_another_failure_to_start_is_not_taken_for_it(monkeypatch):
    def broken(**_):
        raise Exception("another reason")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", broken)
    with pytest.raises(Exception, match="another reason"), ray_session.running_ray(1):
        pass
