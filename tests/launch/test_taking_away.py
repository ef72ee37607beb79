"""``lukasa export``, ``play`` and ``serve``: an agent leaves its run."""

import asyncio
import json
import socket
import sys
import threading
import types
import urllib.error
import urllib.request

import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, Tuple

from lukasa.agents import load_agent
from lukasa.agents.portable.space_records import to_record
from lukasa.agents.rllib.exporting import export_agent
from lukasa.ground.mistakes import UserError
from lukasa.launch.cli import main
from lukasa.launch.serving.client import AgentClient
from lukasa.launch.serving.deployment import _body, _listen_on_own_address_alone, _opener, served
from lukasa.launch.serving.desk import Desk
from tests.agents.portable.playing import agent_module

ENV = "RepeatPrevious-k1-v0"
WORDS = (
    f"train rl --env {ENV} --core gru --memory.size 8 --steps 256 --envs-per-runner 2 --batch-size 128 "
    "--minibatch-size 128 --epochs 1 --previous-reward --ablation 0"
)
SPACES = Dict(seen=Box(-9.0, 9.0, (3,), np.float32), kind=Discrete(3)), Tuple([Discrete(3), Box(-1.0, 2.0, (2,))])
LOOK = {"seen": [0.5, -3.0, 2.0], "kind": 1}


@pytest.fixture(scope="module")
def run(tmp_path_factory, ray_cluster):
    folder = tmp_path_factory.mktemp("runs") / "rl"
    assert main([*WORDS.split(), "--out", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("agents") / "agent.lukasa"
    export_agent(agent_module(*SPACES), path, {"env": "drawn"})
    return path


def said(capsys, code, words):
    assert main([str(word) for word in words]) == code
    return capsys.readouterr()


@pytest.mark.ray
def test_exported_agent_earns_what_eval_says(run, tmp_path, capsys):
    file = tmp_path / "agent.lukasa"
    assert said(capsys, 0, ["export", run, "--out", file]).out.strip() == str(file)
    asked = ["--episodes", 3, "--json"]
    of_run = json.loads(said(capsys, 0, ["eval", run, *asked]).out)
    of_file = json.loads(said(capsys, 0, ["play", file, *asked]).out)
    for name in ("return_mean", "return_std", "length_mean", "seed", "env"):
        assert of_file[name] == of_run[name], name
    wiped = json.loads(said(capsys, 0, ["play", file, *asked, "--without", "memory"]).out)
    assert (
        wiped["return_mean"]
        == json.loads(said(capsys, 0, ["eval", run, *asked, "--without", "memory"]).out)["return_mean"]
    )
    assert "mean return" in said(capsys, 0, ["play", file, "--episodes", 2]).out
    assert load_agent(file).about["env"] == ENV
    wrong = said(capsys, 2, ["play", file, "--env", "CartPole-v1"])
    assert "observation space is Box" in wrong.err
    (tmp_path / "cut").write_bytes(file.read_bytes()[:900])
    assert "cut holds no agent" in said(capsys, 2, ["play", tmp_path / "cut"]).err
    assert "is a run: lukasa eval" in said(capsys, 2, ["play", run]).err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["export"], "takes one run directory"),
        (["export", "nowhere"], "needs a file to write"),
        (["export", "nowhere", "--out", "agent.lukasa"], "there is no run at nowhere"),
        (["export", "nowhere", "--out", "."], "is a folder"),
        (["export", "nowhere", "--out", "no/such/agent"], "there is no folder"),
        (["play"], "takes one file"),
        (["play", "nowhere"], "there is no agent at nowhere: give the file"),
        (["play", "nowhere", "--episodes", "0"], "expected at least 1"),
        (["play", "http://127.0.0.1:9", "--env", "x"], "does not answer"),
        (["play", "http://127.0.0.1:x", "--env", "x"], "is no address"),
        (["play", "http://127.0.0.1:9", "--explore"], "are for files"),
        (["serve"], "takes one file"),
        (["serve", "nowhere", "--port", "70000"], "from 1 to 65535"),
        (["serve", "nowhere", "--replicas", "0"], "expected at least 1"),
        (["serve", "nowhere", "--host", "203.0.113.9"], "cannot be listened on"),
    ],
)
def test_mistakes_are_one_sentence(words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert message in said(capsys, 2, words).err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--out", "config.json"], "--out config.json exists and is no model, and would be lost: choose another name"),
        (["--onnx", "config.json"], "--onnx config.json exists and is no model"),
        (["--out", "agent", "--onnx", "./agent"], "--out and --onnx are both agent"),
    ],
)
def test_an_export_does_not_take_the_place_of_something_else(words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    assert message in said(capsys, 2, ["export", "run", *words]).err
    assert (tmp_path / "config.json").read_text() == "{}"
    assert len(list(tmp_path.iterdir())) == 1


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def desk(file):
    return Desk(load_agent(file), most=3, expire=10.0, clock=Clock())


def post(desk, path="/act", **asked):
    return desk.answer("POST", path, json.dumps(asked).encode())


def test_desk_keeps_a_session_for_each_player(desk, file):
    agent, own, names = load_agent(file), [None, None], [None, None]
    for step in range(4):
        for player in range(2):
            look = {"seen": [0.5 * player, -3.0 + step, 2.0], "kind": step % 3}
            status, reply = post(desk, observation=look, session=names[player])
            action, own[player] = agent.act(look, own[player])
            assert status == 200
            assert reply["action"][0] == action[0]
            np.testing.assert_allclose(reply["action"][1], action[1], rtol=1e-6)
            assert names[player] in (None, reply["session"])
            names[player] = reply["session"]
    assert names[0] != names[1]
    together = post(desk, observations=[LOOK, LOOK], sessions=names)[1]
    apart = [agent.act(LOOK, one)[0] for one in own]
    assert [action[0] for action in together["actions"]] == [action[0] for action in apart]
    assert post(desk, "/end", session=names[0]) == (200, {"ended": names[0]})
    assert post(desk, observation=LOOK, session=names[0])[0] == 404


def test_desk_bounds_and_expires_sessions(desk):
    first = post(desk, observation=LOOK)[1]["session"]
    desk.clock.now = 8.0
    second = post(desk, observation=LOOK)[1]["session"]
    post(desk, observation=LOOK)
    status, reply = post(desk, observation=LOOK)
    assert (status, reply["error"].split(":")[0]) == (429, "this server keeps 3 sessions at most")
    desk.clock.now = 11.0
    assert post(desk, observation=LOOK)[0] == 200
    assert post(desk, observation=LOOK, session=first)[0] == 404
    assert post(desk, observation=LOOK, session=second)[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/act", b"", 405),
        ("POST", "/", b"", 405),
        ("GET", "/nothing", b"", 404),
        ("POST", "/act", b"{", 400),
        ("POST", "/act", b"[1]", 400),
        ("POST", "/act", b"[" * 100_000, 400),
        ("POST", "/act", b"{}", 400),
        ("POST", "/act", b'{"observation": [1, 2]}', 400),
        ("POST", "/act", b'{"observation": {"seen": [1, 2], "kind": 1}}', 400),
        ("POST", "/act", b'{"observation": {"seen": [1, 2, "x"], "kind": 1}}', 400),
        ("POST", "/act", b'{"observation": {"seen": [1, 2, 3], "kind": 9}}', 400),
        ("POST", "/act", b'{"observation": {"seen": [1, 2, 3], "kind": 1}, "session": 3}', 404),
        ("POST", "/act", b'{"observation": {"seen": [1, 2, 3], "kind": 1}, "session": "0-no"}', 404),
        ("POST", "/act", b'{"observation": {"seen": [1, 2, 3], "kind": 1}, "reward": "x"}', 400),
        ("POST", "/act", b'{"observation": {"seen": [1, 2, 3], "kind": 1}, "sesion": null}', 400),
        ("POST", "/act", b'{"observation": {"seen": [1, 2, NaN], "kind": 1}}', 400),
        ("POST", "/act", b'{"observation": {"seen": [1, 2, 1e999], "kind": 1}}', 400),
        ("POST", "/act", b'{"observation": {"seen": [1, 2, 3], "kind": 1}, "reward": -Infinity}', 400),
        ("POST", "/act", b'{"observation": {"seen": [1, 2, 1e39], "kind": 1}}', 400),
        ("POST", "/act", b'{"observations": []}', 400),
        ("POST", "/act", b'{"observations": [1], "sessions": [null, null]}', 400),
        ("POST", "/end", b'{"session": null}', 404),
    ],
)
def test_bad_requests_get_a_status_and_a_sentence(desk, method, path, body, status):
    found, reply = desk.answer(method, path, body)
    assert found == status
    assert set(reply) == {"error"}
    assert len(reply["error"].splitlines()) == 1
    assert desk.answer("GET", "/", b"")[1]["sessions"] == 0


def test_replica_stops_reading_a_request_that_is_too_long(monkeypatch):
    monkeypatch.setattr("lukasa.launch.serving.desk.LARGEST", 10)
    read = []

    class Request:
        async def stream(self):
            for _ in range(1000):
                read.append(4)
                yield b"    "

    assert len(asyncio.run(_body(Request()))) == 12
    assert len(read) == 3


def test_client_that_was_idle_connects_anew(monkeypatch):
    """A server may close a connection that is idle; what was asked before is not asked again."""
    about = {
        "agent": "x",
        "replicas": 1,
        "observation_space": to_record(SPACES[0]),
        "action_space": to_record(Discrete(2)),
    }
    replies = [json.dumps(one).encode() for one in (about, {"action": 1, "session": "0-a"})]
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            for reply in replies:
                connection, _ = server.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(reply), reply))

        thread = threading.Thread(target=serve)
        thread.start()
        client = AgentClient(f"http://127.0.0.1:{server.getsockname()[1]}")
        monkeypatch.setattr("lukasa.launch.serving.client.IDLE", 0.0)
        assert client.act(LOOK)[1] == "0-a"
        thread.join()
        with pytest.raises(UserError, match=r"'mine' is no session of .*: expected what act returned"):
            client.act(LOOK, "mine")


def test_client_sends_rewards_as_vector_environments_give_them(monkeypatch):
    asked, reply = [], {"actions": [1, 0], "sessions": ["0-a", "0-b"]}
    client = AgentClient.__new__(AgentClient)
    client.observation_space, client.action_space, client.replicas = SPACES[0], Discrete(2), 1
    monkeypatch.setattr(client, "_ask", lambda *words: asked.append(words[2]) or reply)
    client.act_together([LOOK, LOOK], ["0-a", "0-b"], np.array([0.5, 1.0], np.float32))
    client.act_together([LOOK, LOOK], ["0-a", None], [0.5, None])
    assert [json.loads(json.dumps(one))["rewards"] for one in asked] == [[0.5, 1.0], [0.5, None]]


@pytest.mark.ray
@pytest.mark.slow
def test_served_agent_plays_as_its_file_does(run, ray_cluster, tmp_path, capsys, unused_port):
    file = tmp_path / "agent.lukasa"
    assert main(["export", str(run), "--out", str(file)]) == 0
    with served(file, port=unused_port, replicas=2) as url:
        asked = ["--env", ENV, "--episodes", 3, "--json"]
        capsys.readouterr()
        remote = json.loads(said(capsys, 0, ["play", url, *asked]).out)
        local = json.loads(said(capsys, 0, ["play", file, *asked]).out)
        assert remote["return_mean"] == local["return_mean"]
        client = AgentClient(url)
        assert client.replicas == 2
        sessions = {client.act(0)[1] for _ in range(20)}
        assert {one[0] for one in sessions} == {"0", "1"}
        for one in sessions:
            client.act(0, one, 0.0)
        with pytest.raises(UserError, match=r"refused \(400\): reward: expected a number"):
            client.act_together([0], None, "x")
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"{url}/act", b"{")
        assert caught.value.code == 400


@pytest.fixture
def replica_module(monkeypatch):
    """In the place of Ray Serve's module, which tells the address that a port was opened on."""
    module = types.ModuleType("replica")
    module.add_port_to_grpc_server = lambda server, address: address
    monkeypatch.setitem(sys.modules, "ray.serve._private.replica", module)
    return module


@pytest.mark.parametrize(("here", "opened"), [("127.0.0.1", "127.0.0.1:0"), ("::1", "[::1]:0")])
def test_replicas_reach_each_other_on_the_address_of_ray(replica_module, monkeypatch, here, opened):
    monkeypatch.setattr("ray.util.get_node_ip_address", lambda: here)
    _listen_on_own_address_alone()
    assert replica_module.add_port_to_grpc_server(None, "[::]:0") == opened


def test_replicas_listen_as_ray_does_where_its_version_has_other_names(replica_module):
    del replica_module.add_port_to_grpc_server
    _listen_on_own_address_alone()
    assert _opener() is None
    assert not hasattr(replica_module, "add_port_to_grpc_server")


@pytest.fixture
def unused_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
