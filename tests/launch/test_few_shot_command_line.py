"""The command line of few-shot episodes: its options, recipes and refusals."""

import dataclasses
import doctest
import json

import pytest
import torch

import lukasa.launch.kinds.few_shot.evaluation
import lukasa.launch.kinds.supervised.presentation_pictures
from lukasa.agents.few_shot import LEARNERS
from lukasa.agents.learning.optimizers import make_optimizer
from lukasa.launch.cli import main
from lukasa.launch.kinds.few_shot.data import make_shots, new_part
from lukasa.launch.kinds.few_shot.evaluation import published
from lukasa.launch.kinds.few_shot.experiment import FewShotExperiment
from lukasa.launch.kinds.few_shot.job import make_trainer
from lukasa.launch.kinds.few_shot.kind import check_experiment
from lukasa.launch.kinds.few_shot.recipes import FEW_SHOT, FEW_SHOT_RECIPES, SEQUENCE_RECIPES
from lukasa.launch.kinds.published import SHOTS
from lukasa.launch.kinds.supervised.experiment import TaskExperiment
from lukasa.launch.training.requests import read_command_line
from lukasa.tasks.curriculum import Lessons
from lukasa.tasks.episodes import Shots
from lukasa.tasks.examples import Examples
from tests.launch.refusals import fails

DATA = ["--source", "generated", "--part", "background_small1", "--size", "16"]
MADE = FewShotExperiment(source="generated", part="background_small1", size=16, options={"channels": 4})


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["--learner", "protypical"], "unknown learner 'protypical': did you mean 'prototypical'?"),
        (["--options.chanels", "4"], "did you mean '--options.channels'?"),
        (["--learner", "maml", "--options.scale", "2"], "unknown option '--options.scale'"),
        (["--options.channels", "0"], "expected a whole number of at least 1"),
        (["omniglot_prototypcal"], "unknown recipe 'omniglot_prototypcal': did you mean 'omniglot_prototypical'?"),
        (["omniglot_man"], "did you mean 'omniglot_mann'?"),
        (["--ways", "1"], "option --ways is 1: expected at least 2"),
        (["--ways", "545", *DATA], "ways is 545, but generated strokes (background_small1, 136 characters) has 544"),
        (["--test-ways", "545", *DATA, "--ways", "2"], "ways is 545"),
        (["--shots", "18", *DATA], "shots + queries is 23"),
        (["--size", "8", *DATA[:4]], "16"),
        (["--size", "200", *DATA[:4]], "size is 200"),
        (["--part", "tests"], "'tests'"),
        (["--steps", "0"], "option --steps is 0: expected at least 1"),
        (["--lr", "0"], "option --lr is 0.0: expected more than 0"),
        (["--optimizer", "rmsprop", "--weight-decay", "0.1", *DATA], "no weight decay"),
        (["--learner", "nearest", *DATA], "learner 'nearest' learns nothing from episodes: choose another --learner"),
        (["--learner", "maml", "--test-ways", "7", *DATA], "the episodes have 7 classes and this MAML names 5"),
        (["--learner", "sequence", "--options.core", "snial", *DATA], "'snail'"),
        (["--validate-every", "10", *DATA], "--validate-every scores classes of part validation"),
        (["--source", "real"], "or take generated characters"),
        (["--source", "real", "--data-dir", "nowhere"], "the data folder 'nowhere' does not exist"),
        (["--core", "mann"], "unknown option '--core'"),
        (["--resume"], "--resume needs to know which run: add --out DIR"),
    ],
)
def test_bad_input_is_one_sentence(capsys, monkeypatch, tmp_path, argv, sentence):
    monkeypatch.delenv("LUKASA_DATA", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert sentence in fails(capsys, "train", "few-shot", *argv)
    assert not (tmp_path / "runs").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_missing_gpu_is_told(capsys):
    assert "--device cuda needs a GPU" in fails(capsys, "train", "few-shot", "--device", "cuda", *DATA)


@pytest.mark.parametrize("recipe", FEW_SHOT_RECIPES)
def test_every_recipe_is_a_valid_experiment_that_survives_json(recipe):
    asked = read_command_line("few-shot", [recipe]).experiment
    assert FEW_SHOT.from_json(json.loads(json.dumps(dataclasses.asdict(asked)))) == asked
    small = {"channels": 4, **({"core_options": {"length": 6, "filters": 4}} if asked.learner == "sequence" else {})}
    data = {"source": "generated", "part": "background_small1", "size": 16, "batch_size": 1}
    check_experiment(dataclasses.replace(asked, options={**asked.options, **small}, **data))


def test_options_are_those_of_the_learner_with_its_own_defaults():
    argv = "omniglot_maml --options.inner-steps 5 --options.first-order --ways 20"
    experiment = read_command_line("few-shot", argv.split()).experiment
    assert (experiment.learner, experiment.options["inner_lr"]) == ("maml", 0.4)
    assert (experiment.options["inner_steps"], experiment.options["first_order"]) == (5, True)
    other = read_command_line("few-shot", ["omniglot_maml", "--learner", "matching"]).experiment
    assert "inner_lr" not in other.options
    argv = "--learner sequence --options.core lstm --options.core-options size 8"
    sequence = read_command_line("few-shot", argv.split())
    assert sequence.experiment.options["core_options"] == {"size": 8}


@pytest.mark.parametrize("learner", LEARNERS)
def test_help_tells_the_options_of_the_learner(capsys, learner):
    with pytest.raises(SystemExit):
        main(["train", "few-shot", "--learner", learner, "--help"])
    assert "--options.encoder" in capsys.readouterr().out


def test_paper_of_prototypical_networks_halves_the_rate_every_2000_episodes():
    recipe = FEW_SHOT_RECIPES["omniglot_prototypical_paper"]()
    assert (recipe.ways, recipe.shots, recipe.queries, recipe.batch_size) == (60, 1, 5, 1)
    assert (recipe.optimizer, recipe.lr, recipe.schedule, recipe.halve_every) == ("adam", 1e-3, "halving", 2000)


@pytest.mark.parametrize(("batch_size", "rates"), [(1, [1, 1, 1, 1 / 2, 1 / 2]), (2, [1, 1, 1 / 2, 1 / 4, 1 / 4])])
def test_halving_rate_counts_episodes(batch_size, rates):
    halving = dataclasses.replace(MADE, schedule="halving", halve_every=3, batch_size=batch_size, lr=1.0)
    trainer = make_trainer(dataclasses.replace(halving, ways=2, queries=1))
    assert [trainer.step().lr for _ in rates] == rates


def test_seed_decides_weights_and_episodes():
    def first(seed):
        trainer = make_trainer(dataclasses.replace(MADE, seed=seed))
        return trainer.source.shots.sample(2, trainer.generator).support, next(trainer.learner.module.parameters())

    (one, weights), (again, same), (other, different) = first(1), first(1), first(2)
    assert torch.equal(one, again)
    assert torch.equal(weights, same)
    assert not torch.equal(one, other)
    assert not torch.equal(weights, different)


def test_pictures_are_augmented_in_training_alone():
    asked = dataclasses.replace(MADE, augment=True)
    assert make_trainer(asked).source.shots.examples.augmentation is not None
    assert make_shots(asked, "background_small1", ways=5, shots=1).examples.augmentation is None


def test_optimizers_are_those_of_the_sequence_trainer():
    trainer = make_trainer(dataclasses.replace(MADE, optimizer="adamw", weight_decay=0.1))
    alike = make_optimizer("adamw", trainer.learner.module.parameters(), 1e-3, weight_decay=0.1)
    assert type(trainer.optimizer) is type(alike)
    assert trainer.optimizer.param_groups[0]["weight_decay"] == 0.1


def test_recipes_of_sequences_are_read_as_tasks():
    for name in ("omniglot_mann", "omniglot_mann_strings", "omniglot_mann_strings_15"):
        assert isinstance(read_command_line("few-shot", [name, "--sampler.size", "8"]).experiment, TaskExperiment)
    strings = SEQUENCE_RECIPES["omniglot_mann_strings"]()
    assert strings.sampler == {"part": "train", "labels": "string"}


def test_15_classes_with_strings_become_25_after_110_000_episodes():
    from lukasa.launch.kinds.supervised.job import make_trainer as make_task_trainer

    experiment = SEQUENCE_RECIPES["omniglot_mann_strings_15"]()
    curriculum = make_task_trainer(experiment).source.curriculum
    assert isinstance(curriculum, Lessons)
    seen = []
    for _ in range(experiment.steps // experiment.batch_size):
        seen.append(curriculum.draw(torch.Generator())["classes"])
        curriculum.report(0.0)
    assert [seen.count(classes) for classes in range(15, 26)] == [625] * 11


def test_list_tells_few_shot_recipes_of_both_kinds(capsys):
    assert main(["list", "recipes", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["recipes"]}
    assert rows["omniglot_mann"]["command"] == "lukasa train few-shot omniglot_mann"
    assert rows["copy_ntm"]["command"] == "lukasa train task copy_ntm"
    row = rows["omniglot_maml"]
    assert (row["command"], row["learner"], row["ways"]) == ("lukasa train few-shot omniglot_maml", "maml", 5)
    assert main(["list", "recipes"]) == 0
    assert "lukasa train few-shot omniglot_snail" in capsys.readouterr().out


def test_new_characters_are_those_of_the_part_beside():
    parts = {"train": "test", "fit": "test", "background": "evaluation", "background_small1": "evaluation"}
    assert {part: new_part(dataclasses.replace(MADE, part=part)) for part in parts} == parts


def test_paper_is_quoted_for_its_own_settings_alone():
    def quoted(learner="prototypical", part="test", source="Omniglot (test)", ways=20, options=None, **changes):
        shots = Shots(examples=Examples(torch.zeros(30, 10, 1), source), ways=ways, shots=1)
        experiment = FewShotExperiment(learner=learner, options=options or {}, **changes)
        return published(experiment, part, shots)

    assert quoted() == {"Snell et al. 2017": 96.0}
    assert quoted("maml", ways=5) == {"Finn et al. 2017": 98.7}
    assert quoted("sequence", options={"core": "snail"}) == {"Mishra et al. 2018": 97.64}
    assert quoted("sequence", options={"core": "lstm"}) == {}
    others = ({"part": "evaluation"}, {"source": "generated strokes"}, {"ways": 6}, {"size": 20}, {"turns": False})
    assert [quoted(**one) for one in others] == [{}] * len(others)


def test_reported_accuracies_grow_with_shots_and_fall_with_ways():
    for papers in SHOTS["omniglot"].values():
        for percent in papers.values():
            assert percent[5, 5] > percent[5, 1] > percent[20, 1]
            assert percent[20, 5] > percent[20, 1]


@pytest.mark.parametrize(
    "module", [lukasa.launch.kinds.few_shot.evaluation, lukasa.launch.kinds.supervised.presentation_pictures]
)
def test_examples_in_docstrings_run(module):
    assert doctest.testmod(module).failed == 0
