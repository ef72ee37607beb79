import importlib.metadata
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from lukasa.ground.mistakes import UserError
from lukasa.launch.cli import main
from lukasa.launch.clusters.checking import check_cluster
from lukasa.launch.clusters.node_stop import find, stop
from lukasa.launch.train import with_address

ROOT = Path(__file__).parents[2]
RAY_UP = ["cluster.yaml", "cluster-gcp.yaml", "cluster-onprem.yaml"]
CLOUDS = RAY_UP[:2]


@pytest.fixture(autouse=True)
def in_the_repository_with_a_token(monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("0" * 64)


def read(name):
    return yaml.safe_load((ROOT / "launch" / name).read_text())


def refused(config, tmp_path) -> str:
    file = tmp_path / "cluster.yaml"
    file.write_text(yaml.safe_dump(config, sort_keys=False))
    with pytest.raises(UserError) as error:
        check_cluster(file)
    message = str(error.value)
    assert message.startswith(f"{file}: ")
    assert "\n" not in message
    return message.removeprefix(f"{file}: ")


@pytest.mark.parametrize("name", [*RAY_UP, "kuberay.yaml"])
def test_cluster_file_passes_its_schema(name, capsys):
    assert main(["check-cluster", f"launch/{name}"]) == 0
    told = capsys.readouterr()
    assert told.out.startswith(f"launch/{name}: ")
    assert told.err == ""


@pytest.mark.parametrize("name", RAY_UP)
def test_ports_stay_private_and_the_token_is_asked_for(name):
    config = read(name)
    commands = " ".join([*config["setup_commands"], *config["head_start_ray_commands"]])
    surroundings = (ROOT / "launch" / "node.sh").read_text() if "node.sh" in commands else commands
    assert "--dashboard-host=127.0.0.1" in commands
    assert "export RAY_AUTH_MODE=token" in surroundings
    assert "0.0.0.0" not in str(config)
    assert config["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"


@pytest.mark.parametrize("name", RAY_UP)
def test_all_code_and_exact_versions_reach_the_machines(name):
    config = read(name)
    packages = re.search(r"include = (\[.*\])", (ROOT / "pyproject.toml").read_text())
    assert packages
    for package in yaml.safe_load(packages[1]):
        assert config["file_mounts"][f"~/lukasa/{package.rstrip('*')}"] == package.rstrip("*")
    assert config["file_mounts"]["~/lukasa/constraints.txt"] == "constraints.txt"
    assert "make -C ~/lukasa .venv/users" in config["setup_commands"]
    assert "$(VENV)/users: $(VENV)/bin/python $(SETTINGS)\n\t$(PIP)" in (ROOT / "Makefile").read_text()


@pytest.mark.parametrize("name", CLOUDS)
def test_cloud_scales_from_nothing_beside_the_head(name):
    config = read(name)
    types = config["available_node_types"]
    workers = {key: one for key, one in types.items() if key != config["head_node_type"]}
    assert all(one["min_workers"] == 0 for one in workers.values())
    assert sum(one["max_workers"] for one in workers.values()) == config["max_workers"]
    assert [one["resources"].get("GPU") for one in workers.values()] == [1, None]
    spot = "InstanceMarketOptions" if name == "cluster.yaml" else "scheduling"
    assert all(spot in one["node_config"] for one in workers.values())
    assert spot not in types[config["head_node_type"]]["node_config"]


def test_onprem_file_never_ends_a_ray_that_is_not_its_own():
    config = read("cluster-onprem.yaml")
    for role in ("head", "worker"):
        commands = config[f"{role}_start_ray_commands"]
        assert commands[0] == "python ~/lukasa/launch/clusters/node_stop.py"
        assert "ray stop" not in " ".join(commands)


def test_kuberay_names_the_ray_of_the_image():
    version = read("kuberay.yaml")["spec"]["rayClusterSpec"]["rayVersion"]
    assert f"ray=={version}\n" in (ROOT / "constraints.txt").read_text()
    assert version == importlib.metadata.version("ray")


def test_misspelt_key_is_named_with_the_nearest_known_one(tmp_path):
    aws, local = read("cluster.yaml"), read("cluster-onprem.yaml")
    assert refused(aws | {"max_worker": 3}, tmp_path) == "unknown key max_worker: did you mean 'max_workers'?"
    inside = read("cluster.yaml")
    inside["available_node_types"]["head"]["resource"] = {}
    expected = "unknown key available_node_types.head.resource: did you mean 'resources'?"
    assert refused(inside, tmp_path) == expected
    local["auth"]["ssh_usr"] = "me"
    assert refused(local, tmp_path) == "unknown key auth.ssh_usr: did you mean 'ssh_user'?"


def test_misspelt_key_that_ray_lets_pass_is_named_too(tmp_path):
    local, aws, gcp = read("cluster-onprem.yaml"), read("cluster.yaml"), read("cluster-gcp.yaml")
    local["provider"]["worker_ip"] = local["provider"].pop("worker_ips")
    assert refused(local, tmp_path) == "unknown key provider.worker_ip: did you mean 'worker_ips'?"
    aws["available_node_types"]["env_runner"]["node_config"]["InstanceTyp"] = "c7i.xlarge"
    where = "available_node_types.env_runner.node_config"
    assert refused(aws, tmp_path) == f"unknown key {where}.InstanceTyp: did you mean 'InstanceType'?"
    gcp["available_node_types"]["env_runner"]["node_config"]["machine_type"] = "n2-standard-2"
    assert refused(gcp, tmp_path) == f"unknown key {where}.machine_type: did you mean 'machineType'?"


def test_wrong_value_is_one_sentence(tmp_path):
    assert refused(read("cluster.yaml") | {"max_workers": "many"}, tmp_path) == (
        "max_workers: 'many' is not of type 'integer'"
    )
    config = read("cluster.yaml") | {"head_node_type": "boss"}
    assert refused(config, tmp_path) == "`head_node_type` must be one of `available_node_types`."
    local = read("cluster-onprem.yaml")
    del local["provider"]["head_ip"]
    assert refused(local, tmp_path) == "provider.head_ip is missing: provider local needs head_ip and worker_ips"
    assert refused({"cluster_name": "x"}, tmp_path) == "provider.type is missing: expected aws, gcp or local"


def test_file_that_is_not_here_is_named_with_what_to_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = read("cluster.yaml")
    assert refused(config, tmp_path) == "file_mounts: ground is not here: run this in the folder of the repository"
    monkeypatch.chdir(ROOT)
    (tmp_path / ".ray" / "auth_token").unlink()
    assert refused(config, tmp_path) == (
        "file_mounts: ~/.ray/auth_token is not here: make it with `ray get-auth-token --generate`"
    )


def test_ray_job_with_a_mistake_is_one_sentence(tmp_path):
    def changed(change):
        config = read("kuberay.yaml")
        change(config["spec"]["rayClusterSpec"])
        return refused(config, tmp_path)

    where = "spec.rayClusterSpec"
    assert changed(lambda spec: spec["workerGroupSpecs"][0].update(maxReplica=3)) == (
        f"unknown key {where}.workerGroupSpecs.0.maxReplica: did you mean 'maxReplicas'?"
    )
    assert changed(lambda spec: spec.update(rayVersion=2.6)) == (
        f"{where}.rayVersion is 2.6: expected text (in quotes)"
    )
    assert "is installed with Ray 2.60.0" in changed(lambda spec: spec.update(rayVersion="2.9.0"))
    assert changed(lambda spec: spec["workerGroupSpecs"][1].update(replicas=9)) == (
        "worker group env-runner: replicas is not between minReplicas and maxReplicas"
    )
    assert "headGroupSpec.template.spec.containers is missing" in changed(lambda spec: spec.pop("headGroupSpec"))
    assert refused(read("kuberay.yaml") | {"kind": "RayCluster"}, tmp_path) == (
        "it is a RayCluster of ray.io/v1: expected a RayJob of apiVersion ray.io/v1"
    )


def test_file_that_cannot_be_read_is_one_sentence(tmp_path, capsys):
    (tmp_path / "bad.yaml").write_text("a: [")
    assert main(["check-cluster", str(tmp_path / "bad.yaml")]) == 2
    assert main(["check-cluster", str(tmp_path / "none.yaml")]) == 2
    assert main(["check-cluster"]) == 2
    told = capsys.readouterr().err.splitlines()
    assert [line.partition(":")[0] for line in told] == ["lukasa"] * 3
    assert "is not YAML" in told[0]
    assert "cannot be read: No such file or directory" in told[1]
    assert "takes one file" in told[2]


def test_train_script_joins_the_head_at_its_own_address(monkeypatch):
    monkeypatch.delenv("LUKASA_PORT", raising=False)
    monkeypatch.setattr("ray.util.get_node_ip_address", lambda: "10.0.0.5")
    assert with_address(["rl", "--steps", "9"]) == ["rl", "--steps", "9", "--ray", "--address", "10.0.0.5:6379"]
    monkeypatch.setenv("LUKASA_PORT", "7000")
    assert with_address(["rl"])[-1] == "10.0.0.5:7000"
    given = ["rl", "--ray", "--address=10.0.0.9:6379"]
    assert with_address(given) == given


def test_node_stop_ends_the_ray_of_its_folder_and_no_other(tmp_path):
    def like_ray(folder):
        # Named as one of Ray's programs is, so that what tells them apart is the session's folder.
        script = tmp_path / "ray_program.py"
        script.write_text("import time; print('up', flush=True); time.sleep(60)")
        words = [sys.executable, str(script), f"--session-dir={folder}/ray/session_1"]
        process = subprocess.Popen(words, stdout=subprocess.PIPE)
        assert process.stdout
        process.stdout.readline()
        return process

    ours, other = like_ray(tmp_path / "ours"), like_ray(tmp_path / "other")
    try:
        assert find(tmp_path / "ours") == [ours.pid]
        started = time.monotonic()
        # An ended child stays in /proc until it is waited for, with an empty command line.
        assert stop(tmp_path / "ours") == 1
        assert time.monotonic() - started < 5
        assert ours.wait(5) == -15
        assert other.poll() is None
    finally:
        for process in (ours, other):
            process.kill()
            process.wait()


@pytest.mark.parametrize("by", ["surroundings", "open log"])
def test_node_stop_ends_what_does_not_name_its_folder(tmp_path, by):
    def like_agent(folder):
        log = folder / "ray" / "session_1" / "logs" / "agent.log"
        log.parent.mkdir(parents=True)
        program = "import sys, time; log = open(sys.argv[2], 'a') if sys.argv[2:] else None; print('up', flush=True)"
        words = [sys.executable, "-c", f"{program}; time.sleep(60)", "ray::DashboardAgent"]
        environment = {name: value for name, value in os.environ.items() if name != "RAY_TMPDIR"}
        if by == "surroundings":
            environment["RAY_TMPDIR"] = str(folder)
        # A relative path: in the command line the folder would be seen.
        words += ["agent.log"] if by == "open log" else []
        process = subprocess.Popen(words, stdout=subprocess.PIPE, env=environment, cwd=log.parent)
        assert process.stdout
        process.stdout.readline()
        return process

    ours, other = like_agent(tmp_path / "ours"), like_agent(tmp_path / "other")
    try:
        assert find(tmp_path / "ours") == [ours.pid]
        assert stop(tmp_path / "ours") == 1
        assert ours.wait(5) == -15
        assert other.poll() is None
    finally:
        for process in (ours, other):
            process.kill()
            process.wait()


def test_node_stop_needs_a_folder(monkeypatch, capsys):
    from lukasa.launch.clusters import node_stop

    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    assert node_stop.main([]) == 2
    assert "needs to know which Ray" in capsys.readouterr().err
    assert os.environ.get("RAY_TMPDIR") is None
