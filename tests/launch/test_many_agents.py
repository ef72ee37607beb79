"""``lukasa`` with several agents in one environment."""

import json
from pathlib import Path

import pytest

from lukasa.launch.cli import main
from lukasa.launch.runs.checkpoints import list_checkpoints, load_checkpoint
from tests.agents.rllib.many_agents.coming_and_going import ComingAndGoing
from tests.launch.failing_environments import Stranger

pytestmark = pytest.mark.ray

SMALL = [
    "--env=lukasa.envs.own_cues:OwnCues",
    "--core=lstm",
    "--memory.size=8",
    "--envs-per-runner=4",
    "--batch-size=64",
    "--minibatch-size=64",
    "--epochs=1",
    "--ablation=0",
    "--max-seq-len=9",
]


@pytest.fixture(autouse=True)
def _ray(ray_cluster):
    """All of these train."""


def rows(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(("policies", "named"), [("shared", {"shared"}), ("separate", {"agent0", "agent1"})])
def test_several_agents_train_resume_and_play(tmp_path, capsys, policies, named):
    run = tmp_path / "run"
    assert main(["train", "rl", *SMALL, f"--policies={policies}", "--steps=128", f"--out={run}"]) == 0
    assert main(["train", "rl", f"--out={run}", "--resume", "--steps=192"]) == 0
    found = rows(run)
    assert [row["env_steps"] for row in found] == [64, 128, 192]
    assert set(found[-1]["agent_returns"]) == {"agent0", "agent1"}
    assert found[-1]["return_mean"] == pytest.approx(sum(found[-1]["agent_returns"].values()), abs=0.2)
    state = load_checkpoint(list_checkpoints(run / "checkpoints")[-1])
    assert set(state["algorithm"]["learner_group"]["learner"]["rl_module"]) == named
    moments = [name for name in state["played"] if name.endswith("return_scale.mean")]
    assert {name.partition("/")[0] for name in moments} == named
    capsys.readouterr()
    assert main(["eval", str(run), "--episodes=6", "--ablation", "--json"]) == 0
    played = json.loads(capsys.readouterr().out)
    assert [row["without"] for row in played["ablation"]][:2] == [None, "memory"]
    assert played["return_mean"] == pytest.approx(sum(played["agent_returns"].values()))
    assert main(["eval", str(run), "--episodes=6", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["return_mean"] == played["return_mean"]


def test_what_several_agents_cannot_do_is_refused(tmp_path, capsys):
    for options, said in (
        (["--env=TMaze-L50-v0", "--policies=separate"], "--policies separate is for several agents"),
        (
            [
                f"--env={ComingAndGoing.__module__}:ComingAndGoing",
                "--env-settings",
                "odd_spaces",
                "true",
            ],
            "different spaces and cannot share a policy: use --policies separate",
        ),
        (["--env=lukasa.envs.own_cues:OwnCues", "--algorithm=dqn"], "let several agents learn with ppo"),
    ):
        assert main(["train", "rl", "--core=lstm", "--steps=64", f"--out={tmp_path / 'run'}", *options]) == 2
        assert said in capsys.readouterr().err
        assert not (tmp_path / "run").exists()


def test_an_agent_that_was_not_named_ends_the_run_with_a_sentence(tmp_path, capsys):
    options = [f"--env={Stranger.__module__}:Stranger", "--steps=64", f"--out={tmp_path / 'run'}"]
    assert main(["train", "rl", *SMALL[1:], *options]) == 1
    said = capsys.readouterr().err
    assert "showed something to agent 'stranger', which is none of its possible_agents, 'agent0', 'agent1'" in said
    assert "Traceback" not in said
