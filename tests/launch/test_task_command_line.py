import dataclasses
import doctest
import json
import math

import pytest
import torch

import lukasa.launch.kinds.kind
import lukasa.launch.kinds.supervised.evaluation
import lukasa.launch.kinds.supervised.settings
from lukasa import tasks
from lukasa.launch.cli import main
from lukasa.launch.kinds.published import PUBLISHED
from lukasa.launch.kinds.supervised.experiment import TaskExperiment
from lukasa.launch.kinds.supervised.job import make_trainer
from lukasa.launch.kinds.supervised.kind import check_experiment
from lukasa.launch.kinds.supervised.recipes import TASK, TASK_RECIPES
from lukasa.launch.kinds.supervised.settings import length_settings, make_sampler, note_on_slots, split_settings
from lukasa.launch.training.requests import read_command_line
from lukasa.memory.sparse.indexes import INDEXES
from tests.launch.refusals import fails


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["--task", "coppy"], "unknown task 'coppy': did you mean 'copy'?"),
        (["--core", "ntmm"], "'ntm'"),
        (["copy_nmt"], "unknown recipe 'copy_nmt': did you mean 'copy_ntm'?"),
        (["--sampler.max-lenght", "3"], "did you mean '--sampler.max-length'?"),
        (["--task", "ngrams", "--sampler.max-length", "3"], "unknown option '--sampler.max-length'"),
        (["--steps", "0"], "option --steps is 0: expected at least 1"),
        (["--lr", "0"], "option --lr is 0.0: expected more than 0"),
        (["--teacher-forcing", "1.5"], "option --teacher-forcing is 1.5: expected at most 1"),
        (["--momentum", "1"], "option --momentum is 1.0: expected less than 1"),
        (["--chunk", "0"], "option --chunk is 0: expected at least 1"),
        (["--optimizer", "rmsprop", "--weight-decay", "0.1"], "no weight decay"),
        (["--sampler.min-length", "30"], "min_length 30 is above max_length 20"),
        (["--memory.shifts", "2"], "expected an odd number"),
        (["--core", "lstm", "--memory-use", "1"], "core 'lstm' has no slots"),
        (["--core", "sam", "--memory.slots", "100000000000"], "use fewer slots or rows"),
        (["--core", "sam", "--memory.slots", "4", "--memory.heads", "2", "--memory.reads", "5"], "at most 4 (slots)"),
        (["--core", "sam", "--memory.index-options", "probes", "5"], "option 'probes' belongs to index 'faiss'"),
        (["--precision", "bfloat16"], "--precision bfloat16 is for GPUs"),
        (["--task", "babi_made", "--sampler.tasks", "4"], "tasks"),
        (["--curriculum.mastery", "80"], "add --curriculum.kind lessons"),
        (["--curriculum.kind", "lessons"], "needs --curriculum.lessons: expected a JSON list"),
        (["--curriculum.kind", "lessons", "--curriculum.lessons", "[{]"], "is no JSON: line 1"),
        (["--curriculum.kind", "lessons", "--curriculum.lessons", "[1]"], "holds something else: expected a JSON list"),
        (["--curriculum.kind", "lessons", "--curriculum.lessons", "no.json"], "no.json cannot be read: No such file"),
        (
            ["--curriculum.kind", "lessons", "--curriculum.lessons", '[{"max_length": 0}]'],
            "task 'copy' cannot take {'max_length': 0}",
        ),
        (["--curriculum.kind", "doubling", "--curriculum.limit", "4"], "names is ()"),
        (
            ["--curriculum.kind", "doubling", "--curriculum.level", "max_length", "--curriculum.start", "9"],
            "expected them in this order",
        ),
    ],
)
def test_bad_input_is_one_sentence(capsys, argv, sentence):
    assert sentence in fails(capsys, "train", "task", *argv)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_missing_gpu_is_told(capsys):
    assert "--device cuda needs a GPU" in fails(capsys, "train", "task", "--device", "cuda")


def test_seed_decides_weights_and_sequences_and_never_draws_those_of_a_split():
    def first_words(seed):
        trainer = make_trainer(read_command_line("task", ["--seed", str(seed)]).experiment)
        drawn = trainer.source.sampler.sample(4, trainer.generator).inputs
        return drawn, trainer.learner.core.get_parameter("output.weight")

    (one, weights), (again, same), (other, different) = first_words(2), first_words(2), first_words(3)
    assert torch.equal(one, again)
    assert torch.equal(weights, same)
    assert one.shape != other.shape or not torch.equal(one, other)
    assert not torch.equal(weights, different)
    for split in ("validation", "test"):
        drawn = next(tasks.split_batches("copy", split, 4)).inputs
        assert all(words.shape != drawn.shape or not torch.equal(words, drawn) for words in (one, other))


def test_missing_data_is_told_before_anything_is_written(capsys, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    monkeypatch.delenv("LUKASA_DATA", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    told = fails(
        capsys, "train", "task", "--task", "babi", "--sampler.data-dir", str(tmp_path), "--out", str(tmp_path / "run")
    )
    assert "babi" in told
    assert not (tmp_path / "run").exists()


def test_lessons_come_from_a_file_too(tmp_path):
    path = tmp_path / "lessons.json"
    path.write_text('[{"max_length": 2},\n {"max_length": 3}]')
    argv = ["--curriculum.kind", "lessons", "--curriculum.lessons", str(path)]
    trainer = make_trainer(read_command_line("task", argv).experiment)
    assert trainer.source.curriculum.extremes() == [{"max_length": 2}, {"max_length": 3}]
    path.write_text('[{"max_length": 2},\n {"max_length"}]')
    assert main(["train", "task", *argv]) == 2


def test_broken_file_of_lessons_is_told_with_its_line(tmp_path, capsys):
    path = tmp_path / "lessons.json"
    path.write_text('[{"max_length": 2},\n {"max_length"}]')
    told = fails(capsys, "train", "task", "--curriculum.kind", "lessons", "--curriculum.lessons", str(path))
    assert f"{path} is no JSON: line 2" in told


def test_options_are_typed_by_the_task_and_the_core():
    argv = "--task babi_made --sampler.tasks 1 2 --sampler.seed 3 --core gru --memory.size 9 --steps 5"
    experiment = read_command_line("task", argv.split()).experiment
    assert experiment.sampler["tasks"] == (1, 2)
    assert (experiment.sampler["seed"], experiment.memory["size"], experiment.steps) == (3, 9, 5)


def test_another_task_than_the_recipes_starts_from_its_own_defaults():
    assert read_command_line("task", ["reuse_dnc"]).experiment.sampler["rounds"] == 10
    changed = read_command_line("task", ["reuse_dnc", "--task", "reverse"]).experiment
    assert changed.sampler["max_length"] == 20
    assert changed.memory["slots"] == 10


def test_experiment_survives_the_round_trip_through_json():
    for recipe in ("copy_ntm", "traversal_dnc", "babi_dnc"):
        experiment = read_command_line("task", [recipe]).experiment
        assert TASK.from_json(json.loads(json.dumps(dataclasses.asdict(experiment)))) == experiment
    assert TASK.from_json({}) == TaskExperiment()


@pytest.mark.parametrize("recipe", TASK_RECIPES)
def test_every_recipe_is_a_valid_experiment(recipe):
    trainer = make_trainer(read_command_line("task", [recipe]).experiment)
    core = trainer.learner.core
    assert trainer.source.spec.holds <= core.slots if hasattr(core, "slots") and recipe != "babi" else True


def test_paper_recipes_have_the_papers_numbers():
    for recipe, rate in (("copy_ntm_paper", 1e-4), ("ngrams_ntm_paper", 3e-5), ("copy_lstm_paper", 3e-5)):
        experiment = TASK.make(recipe)
        assert (experiment.optimizer, experiment.momentum, experiment.clip_value) == ("rmsprop", 0.9, 10.0)
        assert (experiment.lr, experiment.batch_size) == (rate, 1)


def test_memory_too_small_is_noted_with_what_would_do(capsys):
    experiment = read_command_line("task", ["--memory.slots", "8"]).experiment
    note = note_on_slots(experiment, make_sampler("copy", "train", dict(experiment.sampler)))
    told = "20 words are to be held at once and the memory has 8 slots: 20 would do, by training with --memory.slots 20"
    assert note == told
    check_experiment(experiment)
    assert capsys.readouterr().err == f"warning: {told}\n"
    lstm = read_command_line("task", ["--core", "lstm"]).experiment
    assert note_on_slots(lstm, make_sampler("copy", "train", {})) is None
    relational = TaskExperiment(task="copy", core="rmc", memory={"slots": 8})  # whose slots hold more than a word
    assert note_on_slots(relational, make_sampler("copy", "train", {})) is None


def test_memory_too_small_for_a_later_lesson_is_noted_too(capsys):
    argv = "--memory.slots 30 --curriculum.kind doubling --curriculum.level max_length --curriculum.limit 64"
    check_experiment(read_command_line("task", argv.split()).experiment)
    assert "64 words are to be held at once and the memory has 30 slots: 64 would do" in capsys.readouterr().err
    check_experiment(read_command_line("task", ["--memory.slots", "30"]).experiment)
    assert capsys.readouterr().err == ""


def test_split_keeps_what_it_decides_about():
    experiment = read_command_line("task", ["--sampler.bits", "3"]).experiment
    longer = make_sampler("copy", "longer", split_settings(experiment, "longer"))
    assert (longer.bits, longer.min_length, longer.max_length) == (3, 21, 120)
    made = read_command_line("task", ["--task", "babi_made"]).experiment
    assert make_sampler("babi_made", "test", split_settings(made, "test")).part == "test"


@pytest.mark.parametrize("task", [name for name, task in tasks.TASKS.items() if not task.data])
def test_length_makes_every_sequence_that_long_or_is_refused(task):
    if task == "babi_made":
        with pytest.raises(Exception, match="has no length"):
            length_settings(task, 3)
        return
    sampler = make_sampler(task, "test", length_settings(task, 6 if task == "ngrams" else 5))
    batch = sampler.sample(2, torch.Generator().manual_seed(0))
    assert batch.mask.any(1).all()


def test_published_scores_are_between_chance_and_best():
    for (task, _), score in PUBLISHED.items():
        spec = tasks.TASKS[task].spec
        low, high = sorted((spec.chance, spec.best))
        assert low <= score <= high
        assert math.isfinite(score)


def test_list_tells_tasks_with_chance_unit_and_paper(capsys):
    assert main(["list", "tasks", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["tasks"]
    assert {row["name"] for row in rows} == set(tasks.TASKS)
    copy = next(row for row in rows if row["name"] == "copy")
    assert (copy["chance"], copy["score"], copy["paper"]) == (
        84.0,
        "bits per sequence",
        "Graves et al. 2014, section 4.1",
    )
    assert main(["list", "tasks"]) == 0
    assert "chance 84" in capsys.readouterr().out


def test_list_tells_indexes_with_their_options(capsys):
    assert main(["list", "indexes", "--json"]) == 0
    rows = {row["name"]: row["options"] for row in json.loads(capsys.readouterr().out)["indexes"]}
    assert set(rows) == set(INDEXES)
    assert [option["name"] for option in rows["lsh"]] == ["tables", "bucket"]
    assert all(option["help"] for options in rows.values() for option in options)


@pytest.mark.parametrize(
    "module",
    [lukasa.launch.kinds.kind, lukasa.launch.kinds.supervised.settings, lukasa.launch.kinds.supervised.evaluation],
)
def test_examples_in_docstrings_run(module):
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize("command", ["eval", "plot"])
def test_help_without_a_run_tells_the_options_of_every_kind(capsys, command):
    assert main([command, "--help"]) == 0
    out = capsys.readouterr().out
    assert "--length" in out
    assert ("--episodes" in out) == (command == "eval")
