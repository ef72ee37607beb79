"""``lukasa view`` of runs of every kind: a page that holds the run, or one sentence."""

import numpy as np
import pytest

from lukasa.agents.rllib.exporting import export_agent
from lukasa.launch.cli import main
from lukasa.launch.kinds.circuits.evaluation import load_program
from lukasa.launch.kinds.circuits.recipes import CIRCUITS
from lukasa.launch.runs.directory import open_run
from lukasa.launch.views.packing import unpacked
from tests.agents.portable.playing import agent_module
from tests.launch.ended_processes import own_processes_here
from tests.launch.failing_environments import Failing
from tests.launch.refusals import fails
from tests.launch.seen_environments import Shown
from tests.launch.test_files_mutated import RUNS, trained
from tests.launch.test_view_page import data_of

LINES = RUNS | {
    "sequence": "train few-shot --learner sequence --options.core mann --options.core-options slots 8 "
    "--source generated --size 16 --ways 3 --steps 2 --report-every 1",
    "recurrent": "train questions --reader recurrent --options.core gru --options.core-options size 8 --data babi_made "
    "--dataset.stories 4 --tasks 1 --batch-size 8 --steps 16 --report-every 8 --validate-every 8",
    "circuits": "train circuits --task access --steps 80 --validate-every 40",
    "continual": "train continual --stream algorithms --dataset.sequences 16 --dataset.tested 4 --method fine_tuning",
}
FIRST = {
    "task": "target",
    "few-shot": "probability of each class",
    "questions": "sentence that is stored",
    "pointers": "attention of the step to each point",
    "programs": "program that runs",
    "sequence": "probability of each class",
    "recurrent": "hidden units",
    "circuits": "memory",
    "continual": "accuracy %",
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder, made = tmp_path_factory.mktemp("runs"), {}

    def run(name):
        if name not in made:
            made[name] = trained(folder / name, LINES[name])
        return made[name]

    return run


def shown(capsys, *words):
    """The data of the page that a command line writes."""
    capsys.readouterr()
    assert main(["view", *map(str, words)]) == 0
    (path,) = capsys.readouterr().out.splitlines()
    with open(path, encoding="utf-8") as file:
        return data_of(file.read())


@pytest.mark.parametrize("name", LINES)
def test_runs_of_every_kind_have_a_page(runs, capsys, name):
    run = runs(name)
    found = shown(capsys, run)
    assert (run / "plots" / "view.html").stat().st_size > 1_000_000
    assert found["tracks"]
    assert all(unpacked(track["packed"]).shape == (found["steps"], len(track["rows"])) for track in found["tracks"])
    assert FIRST[name] in [track["name"] for track in found["tracks"]]


def test_a_sequence_is_shown_with_its_memory_and_gradients(runs, capsys, tmp_path):
    found = shown(capsys, runs("task"), "--length", "3", "--gradients", "2", "--out", tmp_path / "a.html")
    names = [track["name"] for track in found["tracks"]]
    assert {"target", "output"} <= set(names)
    assert any(name.startswith("write head") for name in names)
    assert (found["steps"], len(found["gradients"]["steps"])) == (7, 2)
    assert set(found["gradients"]["norms"]) == {"all ways", "through the memory alone"}
    assert found["words"]["packed"]["shape"][1:] == [4, 7]
    fewer = shown(capsys, runs("task"), "--length", "3", "--steps", "5", "--gradients", "0")
    assert (fewer["steps"], fewer["gradients"]) == (5, None)
    head = next(track for track in found["tracks"] if track["name"].startswith("write head"))
    again = next(track for track in fewer["tracks"] if track["name"] == head["name"])
    np.testing.assert_allclose(unpacked(head["packed"])[:5], unpacked(again["packed"]), atol=1e-6)


def test_registers_of_a_step_are_those_that_it_begins_with(runs, capsys):
    run = runs("circuits")
    found = shown(capsys, run, "--length", "4")
    opened, config = open_run(run)
    runner = load_program(opened, CIRCUITS.from_json(config["experiment"]), "best", None)
    before = np.stack([registers[0] for _, _, registers, _ in runner.trace(4, 1, 0).trace])
    assert (before[1:] != before[:-1]).any()
    (registers,) = (track for track in found["tracks"] if track["name"] == "registers before the step")
    np.testing.assert_array_equal(unpacked(registers["packed"]), [before[0], *before])


def test_the_best_of_several_seeds_is_shown_and_said(tmp_path, capsys):
    with own_processes_here():
        assert main([*LINES["pointers"].split(), "--seeds", "2", "--out", str(tmp_path / "two")]) == 0
    capsys.readouterr()
    assert main(["view", str(tmp_path / "two")]) == 0
    said = capsys.readouterr()
    assert "the page is of seed" in said.err
    assert "seed-" in said.out


def test_what_cannot_be_shown_is_one_sentence_and_writes_nothing(runs, capsys, tmp_path):
    run = runs("pointers")
    assert "takes one run directory" in fails(capsys, "view")
    assert "there is no run at" in fails(capsys, "view", str(tmp_path / "none"))
    assert "is not a page" in fails(capsys, "view", str(run), "--out", str(tmp_path / "a.png"))
    assert "it is for runs of lukasa train rl" in fails(capsys, "view", str(run), "--env-settings", "a", "1")
    for name in ("task", "few-shot", "programs"):
        assert "--steps is 0: expected at least 1" in fails(capsys, "view", str(runs(name)), "--steps", "0")
    assert "--steps is -1: expected at least 1" in fails(capsys, "view", str(runs("programs")), "--steps", "-1")
    assert "expected 0 to 512" in fails(capsys, "view", str(runs("task")), "--gradients", "1000")
    assert "has no checkpoint 'wrost'" in fails(capsys, "view", str(run), "--checkpoint", "wrost")
    assert "this run has the tasks 1, 6" in fails(capsys, "view", str(runs("questions")), "--task", "3")
    assert not (tmp_path / "a.png").exists()


def test_an_agent_out_of_its_file_plays_before_a_camera(tmp_path, capsys):
    space = Shown()
    file = tmp_path / "agent.lukasa"
    export_agent(agent_module(space.observation_space, space.action_space), file, {"env": "seen"})
    env = "tests.launch.seen_environments:Shown"
    found = shown(capsys, file, "--env", env, "--out", tmp_path / "page.html")
    assert found["steps"] == 5
    assert [film["label"] for film in found["films"]] == ["environment"]
    assert len(found["films"][0]["pictures"]) == 5
    assert found["gradients"]["steps"] == [0, 1, 2, 3, 4]
    (file.parent / "broken.lukasa").write_bytes(b"no agent")
    assert "broken.lukasa" in fails(capsys, "view", str(file.parent / "broken.lukasa"), "--env", env)


@pytest.mark.parametrize(("how", "said"), [("reset", "failed in reset: ValueError"), ("step", "failed in step: Run")])
def test_an_environment_that_fails_under_an_agent_out_of_its_file_is_said_to(tmp_path, capsys, how, said):
    space, file = Failing(), tmp_path / "agent.lukasa"
    export_agent(agent_module(space.observation_space, space.action_space), file, {"env": "failing"})
    env = ["--env", "tests.launch.failing_environments:Failing", "--env-settings", "how", how, "after", "3"]
    assert main(["view", str(file), *env, "--out", str(tmp_path / "page.html")]) == 1
    assert said in capsys.readouterr().err
    assert not (tmp_path / "page.html").exists()


@pytest.mark.ray
@pytest.mark.slow
def test_an_agent_of_a_run_and_the_one_of_its_file_are_shown_alike(tmp_path, capsys, ray_cluster, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where the page of a file goes
    run, file = tmp_path / "run", tmp_path / "agent.lukasa"
    words = (
        "train rl --env RepeatPrevious-k1-v0 --core ntm --memory.slots 8 --steps 256 --envs-per-runner 2 "
        "--batch-size 128 --minibatch-size 128 --epochs 1 --previous-reward --ablation 0"
    )
    assert main([*words.split(), "--out", str(run)]) == 0
    assert main(["export", str(run), "--out", str(file)]) == 0
    of_run, of_file = shown(capsys, run), shown(capsys, file)
    assert (tmp_path / "agent-plots" / "view.html").is_file()
    assert [track["name"] for track in of_run["tracks"]] == [track["name"] for track in of_file["tracks"]]
    for one, other in zip(of_run["tracks"], of_file["tracks"], strict=True):
        np.testing.assert_allclose(unpacked(one["packed"]), unpacked(other["packed"]), atol=0.02)
    assert of_run["gradients"]["steps"] == of_file["gradients"]["steps"]
