"""`lukasa train questions`, from the command line to answers."""

import dataclasses
import io
import json

import pytest
import torch

from lukasa.ground.mistakes import UserError
from lukasa.launch import load_agent
from lukasa.launch.cli import main
from lukasa.launch.kinds.initial_weights import load_initial_weights
from lukasa.launch.kinds.questions.data import ALL, read_tasks
from lukasa.launch.kinds.questions.job import make_trainer, weights_in
from lukasa.launch.kinds.questions.published import BABI, published
from lukasa.launch.kinds.questions.recipes import QUESTION_RECIPES, QUESTIONS
from lukasa.launch.runs.checkpoints import list_checkpoints, load_checkpoint, to_plain
from lukasa.launch.runs.directory import open_run, read_metrics
from lukasa.launch.training.requests import read_command_line
from tests.launch.ended_processes import own_processes_here
from tests.launch.refusals import fails

MADE = ["--data", "babi_made", "--dataset.stories", "20", "--sentences", "20", "--report-every", "64"]
DIALOG = ["--steps", "32", "--batch-size", "16", "--report-every", "32", "--options.encoding", "bag", "--out"]
TAUGHT = [*MADE, "--reader", "memory_network", "--sentences", "12"]
SMALL = [*MADE, "--batch-size", "16", "--steps", "160", "--tasks", "1,6"]


def train(*argv):
    assert main(["train", "questions", *map(str, argv)]) == 0


@pytest.fixture(scope="module")
def apart(tmp_path_factory):
    path = tmp_path_factory.mktemp("questions") / "apart"
    train(*SMALL, "--apart", "--validate-every", "64", "--keep", "best", "--out", path)
    return path


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    path = tmp_path_factory.mktemp("questions") / "several"
    with own_processes_here():
        train(*SMALL, "--seeds", "2", "--concurrent", "1", "--out", path)
    return path


def evaluated(capsys, *argv):
    capsys.readouterr()
    assert main(["eval", *map(str, argv), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_tasks_of_a_command_line():
    assert read_tasks("", range(1, 4)) == [1, 2, 3]
    assert read_tasks("5, 1-3", range(1, 21)) == [5, 1, 2, 3]


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["--reader", "memn2m"], "unknown reader 'memn2m': did you mean 'memn2n'?"),
        (["--options.hop", "4"], "did you mean '--options.hops'?"),
        (["--options.hops", "0", *MADE], "expected a whole number of at least 1"),
        (["--data", "baby"], "unknown set of questions 'baby': did you mean 'babi'?"),
        (["--tasks", "4", *MADE], "option --tasks is '4': expected different numbers among 1, 2, 3, 6, 15, 16"),
        (["--tasks", "1,1", *MADE], "option --tasks is '1,1': expected different numbers"),
        (["--tasks", "one", *MADE], "option --tasks has 'one': expected numbers of tasks, such as 1-3,5"),
        (["--tasks", "²", *MADE], "option --tasks has '²': expected numbers of tasks"),
        (["--tasks", "1-999999999", *MADE], "option --tasks is '1-999999999': expected different numbers"),
        (["--tasks", "9" * 5000, *MADE], "expected numbers of tasks, such as 1-3,5"),
        ([*MADE, "--sentences", "0"], "option --sentences is 0: expected at least 1"),
        (["--noise", "1.5", *MADE], "option --noise is 1.5: expected at most 1"),
        (["--keep", "best", *MADE], "--keep best keeps what is best on validation questions: add --validate-every"),
        (["--first-lr", "0.1", *MADE], "--first-lr is the learning rate of a linear start: add --options.linear-start"),
        ([*TAUGHT, "--tasks", "2", "--sentences", "2"], "a question names no supporting sentence, which"),
        ([*TAUGHT, "--tasks", "1", "--noise", "0.1"], "a question names no supporting sentence, which"),
        (["--optimizer", "sdg", *MADE], "sgd"),
        (["babi_memn2m"], "unknown recipe 'babi_memn2m': did you mean 'babi_memn2n'?"),
        (["babi_memn2n"], "babi_v1-2_en.tar.gz"),
    ],
)
def test_bad_input_is_one_sentence(capsys, monkeypatch, tmp_path, argv, sentence):
    monkeypatch.delenv("LUKASA_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("lukasa.tasks.data.TIMEOUT", 0.01)
    monkeypatch.chdir(tmp_path)
    assert sentence in fails(capsys, "train", "questions", *argv)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("recipe", QUESTION_RECIPES)
def test_every_recipe_is_a_valid_experiment_that_survives_json(recipe):
    asked = read_command_line("questions", [recipe]).experiment
    assert QUESTIONS.from_json(json.loads(json.dumps(dataclasses.asdict(asked)))) == asked
    QUESTIONS.check_numbers(asked)


def test_published_means_are_those_of_the_tasks():
    for (reader, size, _), column in BABI.items():
        if column.tasks:
            assert len(column.tasks) == 20
            mean = sum(column.tasks) / 20
            # Two papers print cells that add up to a little more than their means.
            tolerance = 0.3 if (reader, size) in (("dnc", "en-10k"), ("memn2n", "en-10k")) else 0.06
            assert mean == pytest.approx(column.mean, abs=tolerance), (reader, size)
    assert published("memn2n", "babi_made", "en", True) is None


def test_a_reader_for_each_task_is_scored_on_its_own(capsys, apart):
    found = evaluated(capsys, apart)
    assert [(row["task"], row["title"]) for row in found["rows"]] == [
        (1, "single-supporting-fact"),
        (6, "yes-no-questions"),
    ]
    assert found["score"] == pytest.approx(sum(row["score"] for row in found["rows"]) / 2)
    assert found["unit"] == "error %"
    assert found["failed"] == sum(row["score"] > 5 for row in found["rows"])
    assert evaluated(capsys, apart, "--part", "validation")["part"] == "validation"
    assert main(["eval", str(apart)]) == 0
    assert "single-supporting-fact" in capsys.readouterr().out


def test_a_part_that_there_is_not_is_refused(capsys, apart):
    assert "have no part 'testt': take one of train, validation, test" in fails(
        capsys, "eval", str(apart), "--part", "testt"
    )
    assert "--best-of validation chooses among several seeds" in fails(
        capsys, "eval", str(apart), "--best-of", "validation"
    )


def test_ablation_takes_the_story_away(capsys, apart):
    found = evaluated(capsys, apart, "--ablation")
    assert [row["without"] for row in found["ablation"]] == [None, "story"]
    assert found["ablation"][0]["score"] == found["score"]
    assert evaluated(capsys, apart, "--without", "story")["score"] == found["ablation"][1]["score"]
    assert "--without memory is for cores as readers" in fails(capsys, "eval", str(apart), "--without", "memory")
    assert "leave --without story out" in fails(capsys, "eval", str(apart), "--without", "story", "--ablation")


def test_a_core_as_a_reader_is_wiped(capsys, tmp_path):
    path = tmp_path / "core"
    options = ["--options.core", "lstm", "--options.core-options", "size", "8", "--options.size", "8"]
    train(*SMALL, "--reader", "recurrent", *options, "--steps", "32", "--out", path)
    found = evaluated(capsys, path, "--ablation")
    assert [row["without"] for row in found["ablation"]] == [None, "story", "memory"]


def test_the_best_weights_are_kept(apart):
    run, _ = open_run(apart)
    rows = read_metrics(run)
    assert [row["questions"] for row in rows] == [64, 128, 160]
    assert "validation" in rows[0]


@pytest.mark.parametrize("how", [["--apart"], []])
def test_resuming_gives_the_losses_of_the_whole_run(tmp_path, how):
    words = [*SMALL, *how, "--noise", "0.1", "--validate-every", "64", "--keep", "best"]
    train(*words, "--out", tmp_path / "whole")
    train(*words, "--steps", "64", "--out", tmp_path / "parts")
    train("--resume", "--steps", "160", "--out", tmp_path / "parts")
    whole, parts = (read_metrics(open_run(tmp_path / name)[0]) for name in ("whole", "parts"))
    alike = ("questions", "loss", "score", "lr", "validation")
    assert [{key: row.get(key) for key in alike} for row in whole] == [
        {key: row.get(key) for key in alike} for row in parts
    ]


def test_a_run_may_start_from_another(capsys, tmp_path, apart):
    begun = tmp_path / "begun"
    train(*SMALL, "--apart", "--steps", "16", "--lr", "1e-9", "--start-from", apart, "--out", begun)
    there, here = (evaluated(capsys, path, "--checkpoint", "last") for path in (apart, begun))
    assert [row["score"] for row in there["rows"]] == [row["score"] for row in here["rows"]]
    assert "has no reader of all tasks" in fails(capsys, "train", "questions", *SMALL, "--start-from", str(apart))


def test_a_run_may_start_from_weights_of_before_a_part_of_them_was_kept(tmp_path):
    """Query reduction once had its forget bias in b_z, and its weights no ``gate_bias``."""
    path, reader = tmp_path / "run", ["--reader", "query_reduction", "--options.size", "4"]
    train(*SMALL, *reader, "--steps", "16", "--out", path)
    experiment = read_command_line("questions", [*SMALL, *reader, "--seed", "5"]).experiment
    trained = next(iter(make_trainer(experiment).trainers.values())).learner.reader

    def old(state):
        return {name: one for name, one in weights_in(to_plain(state), ALL).items() if "gate_bias" not in name}

    load_initial_weights(trained, "questions", old, str(path))
    state = load_checkpoint(list_checkpoints(path / "checkpoints")[-1])
    assert torch.equal(trained.embedding, weights_in(to_plain(state), ALL)["embedding"])
    less = {name: one for name, one in old(state).items() if name != "embedding"}
    for name, weights in (("embedding is not there", less), ("more is of shape", old(state) | {"more": torch.ones(2)})):
        with pytest.raises(UserError, match=f"its parameter {name}"):
            load_initial_weights(trained, "questions", lambda _, weights=weights: weights, str(path))


def test_several_seeds_have_a_mean_and_a_best(capsys, several):
    found = evaluated(capsys, several)
    assert found["seeds"] == [0, 1]
    assert {row["of"] for row in found["means"]} >= {"task 1", "task 6"}
    best = evaluated(capsys, several, "--best-of", "training")
    assert best["starts"] == 2
    assert set(best["seeds"].values()) <= {0, 1}
    assert main(["eval", str(several), "--best-of", "validation"]) == 0
    assert "best of 2 starts by validation loss" in capsys.readouterr().out


def test_plot_draws_the_hops(capsys, apart):
    assert main(["plot", str(apart), "--format", "svg"]) == 0
    assert (apart / "plots" / "hops.svg").exists()
    assert "there are" in fails(capsys, "plot", str(apart), "--question", "100000")
    assert "expected at least 1" in fails(capsys, "plot", str(apart), "--question", "0")


def ask(monkeypatch, capsys, text, *argv):
    capsys.readouterr()
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    code = main(["ask", *map(str, argv)])
    return code, capsys.readouterr()


def test_ask_answers_what_is_piped_in(monkeypatch, capsys, apart):
    text = "Mary moved to the garden.\nWhere is Mary?\n\nJohn went to the kitchen\nwhere is john?\n"
    code, said = ask(monkeypatch, capsys, text, apart, "--task", "1")
    assert code == 0
    assert said.out.count("hop 1") == 2
    code, said = ask(monkeypatch, capsys, text, apart, "--task", "1", "--json")
    first, second = map(json.loads, said.out.splitlines())
    assert first["hops"][0][0]["text"] == "mary moved to the garden"
    assert second["hops"][0][0]["text"] == "john went to the kitchen"


def test_ask_names_a_word_it_has_never_seen(monkeypatch, capsys, apart):
    code, said = ask(monkeypatch, capsys, "Mary moved to the garden.\nWhere is Marry?\n", apart, "--task", "1")
    assert code == 2
    assert said.err == "lukasa: line 2: this reader has never seen the word 'marry'; did you mean 'mary'?\n"


def test_ask_says_when_a_story_is_longer_than_the_memory(monkeypatch, capsys, apart):
    text = "Mary moved to the garden.\n" * 22 + "Where is Mary?\n"
    code, said = ask(monkeypatch, capsys, text, apart, "--task", "1")
    assert code == 0
    assert said.err == "note: this reader holds 20 sentences: of this story, the last ones\n"


def test_ask_wants_to_know_which_task(capsys, apart):
    assert "--task N; task=N in Python), one of 1, 6" in fails(capsys, "ask", str(apart))
    assert "no reader of task 3: name a task" in fails(capsys, "ask", str(apart), "--task", "3")
    assert "lukasa ask takes one run directory" in fails(capsys, "ask")


def test_ask_names_a_task_that_one_reader_of_several_does_not_have(capsys, tmp_path):
    path = tmp_path / "joint"
    train(*SMALL, "--steps", "16", "--out", path)
    assert "has no task 9: its one reader answers questions of the tasks 1, 6" in fails(
        capsys, "ask", str(path), "--task", "9"
    )


def test_ask_refuses_what_is_no_text(monkeypatch, capsys, apart):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"Mary went\xff home\n"), encoding="utf-8"))
    assert "what is told is not text in UTF-8 (byte 0xff)" in fails(capsys, "ask", str(apart), "--task", "1")


def test_a_loaded_reader_answers(several):
    run = next(path for path in sorted(several.iterdir()) if path.is_dir())
    agent = load_agent(run)
    agent.tell("Mary moved to the garden.")
    assert agent.ask("Where is Mary?").text in agent.vocabulary.answers
    assert list_checkpoints(open_run(run)[0].checkpoints)


def test_the_reader_of_a_task_is_loaded_by_its_number(apart):
    agent = load_agent(apart, task=6)
    agent.tell("Mary moved to the garden.")
    assert agent.ask("Is Mary in the garden?").text in ("yes", "no")
    with pytest.raises(UserError, match=r"which task's reader is to answer: name a task .*one of 1, 6"):
        load_agent(apart)
    with pytest.raises(UserError, match=r"no reader of task 3"):
        load_agent(apart, task=3)


def test_ask_holds_a_dialog(monkeypatch, capsys, tmp_path):
    path = tmp_path / "dialog"
    train("--data", "dialog", "--dataset.source", "generated", "--dataset.dialogs", "4", "--tasks", "1", *DIALOG, path)
    code, said = ask(monkeypatch, capsys, "hello\n<fact> resto_1 phone resto_1_phone\n<silence>\n", path, "--json")
    assert code == 2  # no such restaurant: a word it has never seen is named here too
    assert "never seen the word 'resto_1'" in said.err
    code, said = ask(monkeypatch, capsys, "hello\n<silence>\n", path, "--json")
    first, second = map(json.loads, said.out.splitlines())
    assert [one["text"] for one in first["hops"][0]] == []
    told = {one["text"] for one in second["hops"][0]}
    assert told == {"<user> hello", f"<bot> {first['answer']}"}
