"""`lukasa train programs`, from the command line to an answer."""

import dataclasses
import json

import pytest

from lukasa.launch import load_agent
from lukasa.launch.cli import main
from lukasa.launch.kinds.programs.evaluation import read_lengths
from lukasa.launch.kinds.programs.recipes import PROGRAM_RECIPES, PROGRAMS
from lukasa.launch.runs.directory import open_run, read_metrics
from lukasa.launch.training.requests import read_command_line
from tests.launch.refusals import fails

CORE = ["--size", "16", "--layers", "1", "--encoding", "8", "--program-size", "8", "--key-size", "4"]
SMALL = ["--base", "2", "--longest", "3", *CORE, "--batch-size", "4", "--report-every", "16"]
ADDING = ["--tasks", "addition", "--form", "recursive", *SMALL]


def train(*argv):
    assert main(["train", "programs", *map(str, argv)]) == 0


@pytest.fixture(scope="module")
def adder(tmp_path_factory):
    path = tmp_path_factory.mktemp("programs") / "adder"
    train(*ADDING, "--steps", "48", "--validate-every", "32", "--out", path)
    return path


@pytest.fixture(scope="module")
def sorter(tmp_path_factory):
    path = tmp_path_factory.mktemp("programs") / "sorter"
    train("--tasks", "bubble_sort", *SMALL, "--steps", "16", "--out", path)
    return path


def evaluated(capsys, *argv):
    capsys.readouterr()
    assert main(["eval", *map(str, argv), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["--tasks", "additon"], "unknown task of programs 'additon': did you mean 'addition'?"),
        (["--tasks", ""], "option --tasks is '': expected tasks, such as addition,bubble_sort"),
        (["--tasks", "addition,addition"], "option --tasks is 'addition,addition': expected different tasks"),
        (["--base", "1"], "option --base is 1: expected at least 2"),
        (["--base", "40"], "base is 40: expected a number from 2 to 36"),
        (["--longest", "0"], "option --longest is 0: expected at least 1"),
        (["--longest", "200000"], "option --longest is 200000: expected at most 100,000"),
        (["--size", "0"], "option --size is 0: expected at least 1"),
        (["--form", "looped"], "loops"),
        (["--known", "bubble_sort", "--tasks", "maximum"], "is what another run has learned: add --start-from RUN"),
        (["--known", "maximum", "--tasks", "bubble_sort", "--start-from", "x"], "nothing to teach"),
        (["--known", "addition", "--start-from", "x"], "task 'addition' is both in --tasks and in --known"),
        (["max_on_frozen_core", "--start-from", "nowhere"], "nowhere"),
        (["additions"], "unknown recipe 'additions': did you mean 'addition'?"),
    ],
)
def test_bad_input_is_one_sentence(capsys, monkeypatch, tmp_path, argv, sentence):
    monkeypatch.chdir(tmp_path)
    assert sentence in fails(capsys, "train", "programs", *argv)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("recipe", PROGRAM_RECIPES)
def test_every_recipe_is_a_valid_experiment_that_survives_json(recipe):
    asked = read_command_line("programs", [recipe]).experiment
    assert PROGRAMS.from_json(json.loads(json.dumps(dataclasses.asdict(asked)))) == asked
    PROGRAMS.check_numbers(asked)


def test_resuming_gives_the_losses_of_the_whole_run(tmp_path):
    words = ["--tasks", "addition,bubble_sort", *SMALL, "--validate-every", "16"]
    train(*words, "--steps", "48", "--out", tmp_path / "whole")
    train(*words, "--steps", "16", "--out", tmp_path / "parts")
    train("--resume", "--steps", "48", "--out", tmp_path / "parts")
    whole, parts = (read_metrics(open_run(tmp_path / name)[0]) for name in ("whole", "parts"))
    alike = ("traces", "loss", "score", "lr", "validation")
    assert [row["traces"] for row in whole] == [16, 32, 48]
    assert [{key: row.get(key) for key in alike} for row in whole] == [
        {key: row.get(key) for key in alike} for row in parts
    ]


def test_new_program_leaves_the_old_ones_as_they_were(capsys, tmp_path, sorter):
    taught = tmp_path / "taught"
    words = ["--tasks", "maximum", "--known", "bubble_sort", *SMALL, "--lr", "0.1", "--start-from", sorter]
    train(*words, "--steps", "16", "--out", taught)
    train("--resume", "--steps", "32", "--out", taught)
    scored = evaluated(capsys, taught, "--lengths", "2", "--samples", "5")
    assert [row["task"] for row in scored["rows"]] == ["bubble_sort", "maximum"]
    old, new = (load_agent(path) for path in (sorter, taught))
    for problem in ("1,0", "1,1,0", "0,0,1,1"):
        assert old.run(problem, "bubble_sort") == new.run(problem, "bubble_sort")
    asked = ["--tasks", "maximum", "--known", "bubble_sort", *SMALL, "--size", "8", "--start-from", str(sorter)]
    assert "does not fit" in fails(capsys, "train", "programs", *asked)
    assert "does not fit" in fails(capsys, "train", "programs", *ADDING, "--start-from", str(sorter))


def test_problems_are_scored_by_length_and_cases_are_all_tried(capsys, adder):
    found = evaluated(capsys, adder, "--lengths", "2,5", "--samples", "7")
    assert [(row["length"], row["samples"]) for row in found["rows"]] == [(2, 7), (5, 7)]
    for row in found["rows"]:
        assert sum(row["endings"].values()) == 7
        low, high = row["interval"]
        assert low <= row["accuracy"] == 100 * row["right"] / 7 <= high
        assert row["steps"] <= 7 * row["budget"]
    assert set(found["verified"]) == {"addition"}
    assert found["verified"]["addition"]["said"].startswith(("verified: all ", "not verified: "))
    assert evaluated(capsys, adder, "--no-verify", "--samples", "2", "--budget", "3")["verified"] == {}
    assert main(["eval", str(adder), "--samples", "2"]) == 0
    assert "exact %" in capsys.readouterr().out


def test_one_problem_is_carried_out_and_its_trace_saved_and_checked(capsys, adder, tmp_path):
    file = tmp_path / "trace.txt"
    words = ["--problem", "101+11", "--budget", "40"]
    found = evaluated(capsys, adder, *words)
    assert found["right"] == "1000"
    assert found["trace"][0] == "ADD"
    assert len(found["trace"]) == found["steps"] + 1
    assert main(["eval", str(adder), *words]) == 0
    assert "101+11 = " in capsys.readouterr().out
    if found["ending"] == "returned":
        assert main(["eval", str(adder), *words, "--save", str(file)]) == 0
        assert evaluated(capsys, adder, "--check", file)["first"] is None
    assert "has the digit '7': base 2 has the digits 01" in fails(capsys, "eval", str(adder), "--problem", "7+1")
    assert "has the negative number -1" in fails(capsys, "eval", str(adder), "--problem=-1+1")


def test_trace_of_right_programs_is_checked_against_the_core(capsys, adder, tmp_path):
    from lukasa.tasks.programs import TASKS, right_trace, written_trace

    file = tmp_path / "trace.txt"
    text = written_trace(right_trace(TASKS["addition"], "recursive", 2, ((1, 0, 1), (1, 1))))
    file.write_text(text)
    assert evaluated(capsys, adder, "--check", file)["steps"] == text.count("|")
    file.write_text(text.replace("ADD1 ", "ADD2 ", 1))
    assert "line 7: unknown program 'ADD2'" in fails(capsys, "eval", str(adder), "--check", str(file))
    assert "missing.txt" in fails(capsys, "eval", str(adder), "--check", str(tmp_path / "missing.txt"))
    file.write_text(written_trace(right_trace(TASKS["addition"], "recursive", 3, ((1,), (1,)))))
    assert "is in base 3, and the core in 2" in fails(capsys, "eval", str(adder), "--check", str(file))


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["--lengths", "3,x"], "option --lengths has 'x': expected whole numbers from 1 to 100,000"),
        (["--lengths", "100001"], "option --lengths has '100001'"),
        (["--samples", "0"], "option --samples is 0: expected at least 1"),
        (["--task", "bubble_sort"], "option --task: unknown task of this core 'bubble_sort'"),
        (["--save", "x"], "--save writes the trace of one problem: add --problem"),
        (["--problem", "1+1", "--check", "x"], "--problem and --check are two questions"),
    ],
)
def test_evaluations_that_cannot_be_are_refused(capsys, adder, argv, sentence):
    assert sentence in fails(capsys, "eval", str(adder), *argv)


def test_plot_draws_trace_and_keys(adder, capsys):
    assert main(["plot", str(adder), "--format", "svg", "--problem", "11+1"]) == 0
    assert (adder / "plots" / "trace.svg").exists()
    assert (adder / "plots" / "keys.svg").exists()
    assert "option --problem: " in fails(capsys, "plot", str(adder), "--problem", "9+1")


@pytest.mark.slow
def test_several_seeds_are_one_experiment(capsys, tmp_path):
    train(*ADDING, "--steps", "16", "--seeds", "2", "--concurrent", "1", "--out", tmp_path / "both")
    assert main(["eval", str(tmp_path / "both"), "--lengths", "2", "--samples", "3", "--no-verify"]) == 0
    assert main(["compare", *map(str, sorted((tmp_path / "both").glob("seed-?")))]) == 0


def test_lengths_of_a_command_line():
    assert read_lengths(None) is None
    assert read_lengths("100, 3000") == [100, 3000]
