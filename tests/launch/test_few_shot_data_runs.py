"""Whole runs of few-shot training on data of one's own, through the command line, as small as they get."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from lukasa.agents.few_shot import LEARNERS, ClassAgent
from lukasa.launch import load_agent
from lukasa.launch.cli import main
from lukasa.launch.kinds.few_shot.drawings import Named, pictures
from lukasa.launch.kinds.few_shot.experiment import FewShotExperiment
from lukasa.launch.kinds.few_shot.recipes import FEW_SHOT
from lukasa.launch.runs.directory import Run, read_metrics
from lukasa.launch.training.requests import read_command_line
from tests.launch.refusals import fails
from tests.tasks.images import write_images

EPISODES = "--ways 2 --queries 2 --batch-size 2 --report-every 4"
OWN = '''
import torch
from lukasa.tasks.class_arrays import ClassArray


def noise(*, classes: int = 20, width: float = 1.0):
    """Noise around a middle for each class.

    Args:
        classes: how many.
        width: of the noise.
    """
    draw = torch.Generator().manual_seed(0)
    middles = torch.randn(classes, 1, 8, generator=draw)
    return ClassArray(middles + width * torch.randn(classes, 6, 8, generator=draw), title="own noise")


def odd(*, size: list = []):
    """An option that no command line spells."""
'''


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with images by class, an array, and a module."""
    write_images(tmp_path / "my_images")
    np.save(tmp_path / "values.npy", np.random.default_rng(0).random((20, 5, 8)))
    (tmp_path / "own_data.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    yield tmp_path
    sys.modules.pop("own_data", None)


def train(*argv: str) -> int:
    return main(["train", "few-shot", *argv])


def losses(run: Path) -> list[float]:
    return [row["loss"] for row in read_metrics(Run(run, "episodes"))]


@pytest.mark.parametrize("learner", [name for name, one in LEARNERS.items() if one.learns_from_episodes])
def test_every_learner_trains_on_a_folder_of_images_and_is_evaluated_drawn_and_resumed(folder, capsys, learner):
    small = "--options.core gru --options.core-options size 6" if learner == "sequence" else ""
    data = "--data folder --dataset.root my_images --size 16 --options.channels 4 --augment"
    words = [*f"--learner {learner} {data} {EPISODES} {small}".split(), "--steps", "12"]
    assert train(*words, "--out", "whole") == 0
    assert train(*words, "--out", "cut", "--stop-at", "0") == 0
    assert len(losses(folder / "cut")) < len(losses(folder / "whole"))
    assert train("--resume", "--out", "cut", "--stop-at", "101") == 0
    assert losses(folder / "cut") == losses(folder / "whole")
    capsys.readouterr()
    assert main(["eval", "cut", "--episodes", "4", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["part"] == "test"
    assert result["data"] == "my_images (test, 2 classes of 6 images)"
    assert result["rows"][0]["published"] == {}
    assert main(["plot", "cut"]) == 0
    assert {"confusion.png", "mistakes.png"} <= {path.name for path in (folder / "cut" / "plots").iterdir()}
    agent = load_agent("cut")
    assert isinstance(agent, ClassAgent)
    agent.adapt(torch.rand(2, 3, 16, 16), ["a", "b"])
    assert set(agent.predict(torch.rand(4, 3, 16, 16))) <= {"a", "b"}


@pytest.mark.parametrize(
    ("data", "named", "title"),
    [
        ("--data array --dataset.file values.npy", "array", "values.npy"),
        ("--data own_data:noise --dataset.classes 30 --dataset.width 0.1", "own_data-noise", "own noise"),
        ("--data folder --dataset.root my_images --dataset.no-colour --size 8", "folder", "my_images"),
    ],
)
def test_every_data_set_trains_is_evaluated_and_drawn(folder, capsys, data, named, title):
    assert train(*data.split(), *EPISODES.split(), "--options.encoder", "linear", "--steps", "8") == 0
    (run,) = (folder / "runs").iterdir()
    assert run.name.startswith(f"{named}-prototypical-")
    capsys.readouterr()
    assert main(["eval", str(run), "--episodes", "4", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["data"].startswith(f"{title} (")
    assert main(["plot", str(run)]) == 0
    assert (run / "plots" / "mistakes.png").exists()


def test_drawn_strokes_are_omniglots_generated_characters_bit_for_bit(folder):
    words = f"--part background_small1 --size 16 --options.channels 4 {EPISODES} --steps 8".split()
    assert train(*words, "--source", "generated", "--out", "one") == 0
    assert train(*words, "--data", "omniglot_strokes", "--out", "other") == 0
    assert losses(folder / "one") == losses(folder / "other")


def test_validation_is_on_the_folders_own_part(folder):
    words = f"--data folder --dataset.root my_images --size 16 --options.channels 4 {EPISODES} --steps 8".split()
    assert train(*words, "--validate-every", "4", "--out", "run") == 0
    assert all("validation" in row for row in read_metrics(Run(folder / "run", "episodes")))


def test_options_of_the_data_are_typed_and_those_of_another_are_forgotten(folder):
    words = ["--data", "folder", "--dataset.root", "x", "--dataset.test", "0.4", "--dataset.no-colour", "--no-turns"]
    asked = read_command_line("few-shot", ["omniglot_maml", *words]).experiment
    assert (asked.data, asked.dataset["test"], asked.dataset["colour"]) == ("folder", 0.4, False)
    assert "size" not in asked.dataset
    assert asked.turns is False
    assert FEW_SHOT.from_json(json.loads(json.dumps(vars(asked)))) == asked


def test_config_of_before_data_sets_had_names_is_omniglot_with_its_turns():
    old = {"part": "fit", "size": 20, "source": "generated", "data_dir": "", "turns": True, "augment": False}
    experiment = FEW_SHOT.from_json(old)
    assert (experiment.data, experiment.turns, experiment.part) == ("omniglot", True, "fit")
    assert (experiment.name, experiment.about) == (
        "omniglot-prototypical",
        "prototypical on Omniglot, 5 ways, 1 shot",
    )
    assert FewShotExperiment().turns is None


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--data foldr", "unknown data set 'foldr': did you mean 'folder'?"),
        ("--data folder", "data set 'folder' needs its root"),
        ("--data folder --dataset.rot x", "did you mean '--dataset.root'?"),
        ("--data folder --dataset.size 8", "unknown option '--dataset.size': did you mean '--size'?"),
        ("--data folder --dataset.root nowhere", "the folder nowhere cannot be read"),
        ("--data folder --dataset.root my_images --ways 9", "ways is 9, but my_images (train, 8 classes"),
        ("--data folder --dataset.root my_images --shots 5", "shots + queries is 10, but"),
        ("--data folder --dataset.root my_images --part fit", "my_images has no part 'fit': choose one of 'train'"),
        ("--data folder --dataset.root my_images --source real", "option --source is not for data 'folder'"),
        ("--data folder --dataset.root my_images --ways 2 --validate-every 4 --part test", "train with --part train"),
        ("--data folder --dataset.root my_images --ways 3 --validate-every 4 --queries 2", "ways is 3, but my_images"),
        ("--data array --dataset.file values.npy --size 8", "option --size is not for data 'array'"),
        ("--data array --dataset.file values.npy --queries 2", "encoder 'conv4' has examples of shape [8]"),
        ("--data array --dataset.file nowhere.npy", "nowhere.npy cannot be read"),
        (
            "--data array --dataset.file values.npy --queries 2 --augment --options.encoder linear",
            "to turn or augment takes",
        ),
        ("--data own_data:nose", "module 'own_data' has no 'nose': did you mean"),
        ("--data own_data:noise --dataset.classes many", "option --dataset.classes is 'many': expected a whole number"),
        ("--data own_data:odd", "use int, float, bool or str"),
        ("--turns maybe", "option --turns takes no value"),
    ],
)
def test_bad_data_is_one_sentence_and_writes_nothing(folder, capsys, words, sentence):
    assert sentence in fails(capsys, "train", "few-shot", *words.split())
    assert not (folder / "runs").exists()


def test_one_shot_runs_are_refused_for_examples_that_are_no_drawings(folder, capsys):
    words = f"--data array --dataset.file values.npy {EPISODES} --options.encoder linear --steps 4".split()
    assert train(*words, "--out", "run") == 0
    assert "--one-shot-runs are square drawings" in fails(capsys, "eval", "run", "--one-shot-runs", "x.zip")


def test_list_has_every_data_set(capsys):
    assert main(["list", "datasets", "--json"]) == 0
    names = [row["name"] for row in json.loads(capsys.readouterr().out)["datasets"]]
    assert names == ["omniglot", "omniglot_strokes", "folder", "array"]
    assert main(["list"]) == 0
    assert "lukasa list datasets" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("shape", "drawn"),
    [((5, 6), (5, 6)), ((1, 5, 6), (5, 6)), ((3, 5, 6), (5, 6, 3)), ((7,), (3, 3)), ((2, 3, 4), (5, 5))],
)
def test_examples_of_any_shape_are_drawn_between_black_and_white(shape, drawn):
    values = np.random.default_rng(0).normal(size=(6, *shape))
    none = np.zeros(2, int)
    support, queries = pictures(Named(values[:4].reshape(2, 2, *shape), values[4:], none, none, ink=False))
    assert (support.shape, queries.shape) == ((2, 2, *drawn), (2, *drawn))
    assert min(support.min(), queries.min()) >= 0
    assert max(support.max(), queries.max()) == 1
