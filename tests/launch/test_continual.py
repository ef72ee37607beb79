"""`lukasa train continual`, from the command line to scores and pictures."""

import dataclasses
import json

import pytest
import torch

from lukasa.launch import load_agent
from lukasa.launch.cli import main
from lukasa.launch.kinds.continual.drawings import draw_matrix
from lukasa.launch.kinds.continual.recipes import CONTINUAL, CONTINUAL_RECIPES
from lukasa.launch.runs.directory import open_run, read_metrics
from lukasa.launch.training.requests import read_command_line
from tests.launch.refusals import fails

DATA = ["--dataset.source", "generated", "--dataset.tasks", "3", "--dataset.classes", "3", "--dataset.size", "16"]
SMALL = [*DATA, "--model", "mlp", "--model-options", "units", "8", "--task-steps", "60", "--batch-size", "10"]


def train(*argv):
    assert main(["train", "continual", *map(str, argv)]) == 0


def metrics(path):
    return read_metrics(open_run(path)[0])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("continual") / "run"
    train(*SMALL, "--method", "rehearsal", "--options.slots", "20", "--report-every", "30", "--out", path)
    return path


def evaluated(capsys, *argv):
    capsys.readouterr()
    assert main(["eval", *map(str, argv), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("recipe", CONTINUAL_RECIPES)
def test_every_recipe_is_a_valid_experiment_that_survives_json(recipe):
    asked = read_command_line("continual", [recipe]).experiment
    assert CONTINUAL.from_json(json.loads(json.dumps(dataclasses.asdict(asked)))) == asked
    CONTINUAL.check_numbers(asked)


def test_every_line_has_the_scores_of_the_tasks_so_far(run):
    rows = metrics(run)
    assert [row["examples"] for row in rows] == [30, 60, 90, 120, 150, 180]
    assert [row["level"] for row in rows] == [0, 0, 1, 1, 2, 2]
    assert all(len(row["accuracies"]) == 3 for row in rows)
    last = rows[-1]
    assert last["average_accuracy"] == pytest.approx(sum(last["accuracies"]) / 3)
    assert last["memory_bytes"] == 20 * (2 * 256 + 24)


def test_eval_prints_the_matrix_and_its_scores(capsys, run):
    found = evaluated(capsys, run)
    assert len(found["matrix"]) == 3
    assert found["score"] == pytest.approx(sum(row["score"] for row in found["rows"]) / 3)
    assert found["matrix"][2] == [row["score"] for row in found["rows"]]
    assert found["memory_bytes"] == 20 * (2 * 256 + 24)
    assert main(["eval", str(run)]) == 0
    said = capsys.readouterr().out
    assert "forgetting" in said
    assert "alphabet" in said


METHODS = {
    "rehearsal": ["--options.slots", "20"],
    "rehearsal by class": ["--options.keep", "per_class", "--options.slots", "90", "--options.distil-to", "2"],
    "ewc": ["--options.examples", "5"],
    "distillation": [],
    "progressive": [],
    "sparse_update": ["--options.slots", "64", "--options.chosen", "4"],
    "class_memory": [],
}


@pytest.mark.parametrize("method", METHODS)
def test_resuming_in_the_middle_of_a_task_gives_the_losses_of_the_whole_run(tmp_path, method):
    words = [*SMALL, "--method", method.partition(" ")[0], *METHODS[method], "--report-every", "10"]
    train(*words, "--out", tmp_path / "whole")
    train(*words, "--steps", "90", "--out", tmp_path / "parts")
    train("--resume", "--steps", "1000", "--out", tmp_path / "parts")
    alike = ("examples", "loss", "score", "average_accuracy", "forgetting", "memory_bytes")
    whole, parts = (
        [{key: row[key] for key in alike} for row in metrics(tmp_path / name)] for name in ("whole", "parts")
    )
    assert len(whole) == 18
    assert whole == parts


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["--method", "reharsal"], "unknown method 'reharsal': did you mean 'rehearsal'?"),
        (["--stream", "alphabets_omniglot", "--method", "ewc"], "unknown stream of tasks 'alphabets_omniglot'"),
        (["--options.slot", "4"], "did you mean '--options.slots'?"),
        (
            [*SMALL, "--options.keep", "per_class", "--options.slots", "8"],
            "8 slots cannot hold an example of each of 9",
        ),
        ([*SMALL, "--method", "progressive", "--no-task-known"], "need to know the task"),
        ([*SMALL, "--once", "--batch-size", "46"], "--batch-size 46 is more than the 45 examples of a task"),
        ([*SMALL, "--once"], "--task-steps 60 is more than the 45 examples of a task, which are seen once"),
        ([*SMALL, "--dataset.classes", "33"], "generated ones have 32: ask for fewer classes"),
        ([*SMALL, "--model", "resnet"], "unknown encoder 'resnet': choose one of 'conv', 'mlp'"),
        ([*SMALL, "--model-options", "unit", "3"], "did you mean 'units'?"),
        ([*SMALL, "--task-steps", "0"], "option --task-steps is 0: expected at least 1"),
        (["--dataset.source", "real"], "images_background.zip"),
        (["permuted_pixels", "--dataset.pictures", "mnist"], "of MNIST is not on this machine"),
        (["--stream", "algorithms", "--method", "class_memory"], "method 'class_memory' is for pictures"),
        (["omniglot_alphabetes"], "unknown recipe 'omniglot_alphabetes': did you mean 'omniglot_alphabets'?"),
    ],
)
def test_bad_input_is_one_sentence(capsys, monkeypatch, tmp_path, argv, sentence):
    monkeypatch.delenv("LUKASA_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("lukasa.tasks.data.TIMEOUT", 0.01)
    monkeypatch.chdir(tmp_path)
    assert sentence in fails(capsys, "train", "continual", *argv)
    assert not (tmp_path / "runs").exists()


def test_seen_once_is_one_round(tmp_path):
    train(
        *SMALL, "--task-steps", "45", "--once", "--batch-size", "15", "--method", "fine_tuning", "--out", tmp_path / "r"
    )
    assert [row["examples"] for row in metrics(tmp_path / "r")] == [45, 90, 135]


@pytest.mark.parametrize(
    "words",
    [
        "--stream algorithms --dataset.sequences 20 --dataset.tested 4 --model-options size 8 --method distillation",
        "--stream algorithms --dataset.sequences 20 --dataset.tested 4 --model gru --model-options size 8 "
        "--dataset.which copy reverse --method ewc --options.examples 2",
        "--stream babi_stream --dataset.which 1 6 --dataset.questions 20 --dataset.tested 5 --method progressive",
        "--stream babi_stream --dataset.which 1 6 --dataset.questions 20 --dataset.tested 5 --no-task-known",
    ],
)
def test_cores_and_readers_learn_streams_too(tmp_path, words):
    train(*words.split(), "--task-steps", "20", "--batch-size", "10", "--out", tmp_path / "run")
    assert len(metrics(tmp_path / "run")) == (5 if "which" not in words else 2)


@pytest.mark.slow
def test_several_seeds_are_scored_drawn_and_compared(capsys, tmp_path, run):
    for method in ("fine_tuning", "joint"):
        train(*SMALL, "--method", method, "--seeds", "2", "--concurrent", "1", "--out", tmp_path / method)
    found = evaluated(capsys, tmp_path / "joint")
    assert found["seeds"] == [0, 1]
    assert main(["compare", str(tmp_path / "joint"), str(tmp_path / "fine_tuning")]) == 0
    said = capsys.readouterr().out
    assert "joint" in said
    assert main(["plot", str(tmp_path / "joint"), str(tmp_path / "fine_tuning"), "--out", str(tmp_path / "c.svg")]) == 0
    assert (tmp_path / "c.svg").exists()


def test_plot_draws_the_matrix(run):
    assert main(["plot", str(run), "--format", "svg"]) == 0
    assert (run / "plots" / "matrix.svg").exists()


def test_a_matrix_of_one_task_and_of_many_is_drawn(tmp_path):
    for tasks in (1, 16):
        table = [[50.0] * tasks for _ in range(tasks)]
        names = ["a very long name of a task indeed"] * tasks
        assert draw_matrix(table, names, tmp_path / f"{tasks}.svg", title="many").exists()


def test_a_loaded_agent_answers(run):
    agent = load_agent(run)
    assert len(agent.tasks) == 3
    some = agent.stream.test[1]
    assert set(agent.answer(some.inputs, 1).flatten().tolist()) <= {3, 4, 5}
    assert agent.answer(torch.rand(2, 16, 16), agent.tasks[2]).shape == (2, 1)


def test_a_run_that_has_not_ended_a_task_has_no_scores_yet(capsys, tmp_path):
    train(*SMALL, "--steps", "20", "--out", tmp_path / "short")
    assert "has not come to the end of its first task" in fails(capsys, "eval", str(tmp_path / "short"))
