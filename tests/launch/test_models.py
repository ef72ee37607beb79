"""Trained models as files: exported from runs of every kind, evaluated, drawn, started from, refused."""

import json
import re
from pathlib import Path

import pytest
import torch

from lukasa.benchmarks.models import MODELS, page
from lukasa.launch import load_agent
from lukasa.launch.cli import main
from lukasa.launch.kinds.figures import show_figure
from lukasa.launch.kinds.spelling import words_for
from lukasa.launch.kinds.table import kind_of
from lukasa.launch.runs import model_files
from lukasa.launch.runs.checkpoints import find_checkpoint, load_checkpoint
from lukasa.launch.runs.directory import open_run
from lukasa.launch.training.requests import read_command_line
from tests.launch.ended_processes import own_processes_here
from tests.launch.refusals import fails

ROOT = Path(__file__).parents[2]
BELOW, MOST = 1_000_000, 10
"""Bytes of each model in the repository, and how many there may be."""

TASK = "task --task copy --sampler.bits 2 --core gru --memory.size 6 --batch-size 4 --report-every 8 --steps 16"
RUNS = {
    "task": TASK,
    "few-shot": "few-shot --source generated --part background_small1 --size 16 --options.channels 4 --ways 3 "
    "--queries 2 --batch-size 4 --report-every 4 --steps 4",
    "questions": "questions --data babi_made --tasks 1 --steps 64",
    "circuits": "circuits --task access --starts 2 --registers 2 --hidden 8 --steps 32 --longest 3",
    "pointers": "pointers --points 5 --options.size 8 --steps 32",
    "programs": "programs --tasks addition --longest 2 --steps 16",
}
EVAL = {
    "few-shot": ["--episodes", "4"],
    "circuits": ["--memories", "8"],
    "pointers": ["--sets", "8"],
    "programs": ["--samples", "2", "--no-verify", "--lengths", "2"],
}
RL = "rl --env RepeatPrevious-k1-v0 --core ntm --memory.slots 8 --memory.word-size 4 --steps 256 --envs-per-runner 2 "
RL += "--batch-size 128 --minibatch-size 128 --epochs 1 --ablation 0"


def do(capsys, *words):
    capsys.readouterr()
    assert main([str(word) for word in words]) == 0
    return capsys.readouterr().out


def scores(capsys, what, *options):
    found = json.loads(do(capsys, "eval", what, *options, "--json"))
    return {name: value for name, value in found.items() if name not in ("run", "checkpoint")}


@pytest.fixture(scope="module", params=RUNS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def exported(kind, tmp_path_factory):
    """A run of each kind, and its file."""
    folder = tmp_path_factory.mktemp("models")
    assert main(["train", *RUNS[kind].split(), "--out", str(folder / "run")]) == 0
    assert main(["export", str(folder / "run"), "--out", str(folder / "model")]) == 0
    return folder / "run", folder / "model"


def untimed(value):
    """Without the seconds that something took."""
    if isinstance(value, dict):
        return {name: untimed(one) for name, one in value.items() if name != "seconds"}
    return [untimed(one) for one in value] if isinstance(value, list) else value


def test_a_file_is_evaluated_as_its_run_is(kind, exported, capsys):
    run, file = (scores(capsys, path, *EVAL.get(kind, [])) for path in exported)
    assert untimed(run) == untimed(file)


def test_a_file_names_what_trained_it(kind, exported):
    card = model_files.read_card(exported[1])
    words = card["command"].split()
    _, config = open_run(exported[0])
    assert words[:3] == ["lukasa", "train", kind]
    again = read_command_line(kind, words[3:]).experiment
    assert again == kind_of(kind).experiments.from_json(config["experiment"])


def test_an_agent_is_loaded_from_a_file(kind, exported):
    assert type(load_agent(exported[0])) is type(load_agent(exported[1]))


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    folder = tmp_path_factory.mktemp("task")
    with own_processes_here():
        assert main(["train", *TASK.split(), "--seeds", "2", "--concurrent", "1", "--out", str(folder / "runs")]) == 0
    assert main(["export", str(folder / "runs"), "--out", str(folder / "model"), "--evaluate", "--licence", "MIT"]) == 0
    return folder


def test_training_starts_from_a_file_and_from_a_name(task, tmp_path, monkeypatch):
    monkeypatch.setattr(model_files, "FOLDER", tmp_path)
    (tmp_path / f"copied{model_files.SUFFIX}").write_bytes((task / "model").read_bytes())
    weights = load_checkpoint(find_checkpoint(task / "model" / "checkpoints", "best"))["trainer"]["core"]
    for number, start in enumerate((str(task / "model"), "copied")):
        still = [*TASK.split(), "--steps", "4", "--lr", "1e-30", "--start-from", start]
        assert main(["train", *still, "--out", str(tmp_path / f"{number}")]) == 0
        begun = load_checkpoint(find_checkpoint(tmp_path / f"{number}" / "checkpoints", "last"))["trainer"]["core"]
        assert all((begun[name] == value).all() for name, value in weights.items())


def test_card_of_several_seeds_has_each_of_them_and_what_wiping_leaves(task):
    card = model_files.read_card(task / "model")
    assert (card["seeds"], len(card["spread"]), card["licence"]) == ([0, 1], 2, "MIT")
    assert card["figure"]["value"] in card["spread"]
    assert set(card["figure"]["ablation"]) == {"memory"}
    assert card["command"].endswith("--seeds 2")


def test_a_file_is_drawn_beside_where_one_is(task, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pictures = do(capsys, "plot", task / "model").split()
    assert pictures
    assert all(Path(picture).is_file() and picture.startswith("model-plots/") for picture in pictures)


def test_a_card_is_printed(task, capsys):
    printed = do(capsys, "list", task / "model")
    assert show_figure(model_files.read_card(task / "model")["figure"]) in printed
    assert json.loads(do(capsys, "list", task / "model", "--json"))["sha256"] in printed


def test_files_that_cannot_be_used_are_refused(task, tmp_path, capsys):
    whole = (task / "model").read_bytes()
    changed = bytearray(whole)
    changed[-1] ^= 1
    written = {"cut": whole[:-9], "headless": whole[:99], "changed": bytes(changed), "foreign": b"GIF89a" + bytes(99)}
    for name, content in written.items():
        (tmp_path / name).write_bytes(content)
    said = {
        "cut": "cut was cut short",
        "headless": "holds no trained model",
        "changed": "its checksum does not match",
        "foreign": "holds no trained model: expected a run directory, or what `lukasa export` wrote",
    }
    for name, sentence in said.items():
        assert sentence in fails(capsys, "eval", str(tmp_path / name))
        start = ["train", *TASK.split(), "--start-from", str(tmp_path / name), "--out", str(tmp_path / "run")]
        assert sentence in fails(capsys, *start)
    assert not (tmp_path / "run").exists()


def test_misuse_of_a_model_is_one_sentence(task, capsys):
    file = str(task / "model")
    assert "is a model, which cannot be continued" in fails(capsys, "train", "task", "--out", file, "--resume")
    assert "plays no environment: lukasa eval" in fails(capsys, "play", file)
    assert "plays no environment: lukasa eval" in fails(capsys, "serve", file)
    refused = fails(capsys, "compare", file, str(task / "runs"))
    assert f"{file} is a model without its metrics: compare run directories\n" in refused
    assert "leave it out" in fails(capsys, "plot", file, "--out", "learning.png")
    assert "--onnx is for agents" in fails(capsys, "export", str(task / "runs"), "--onnx", file)
    assert "was written by `lukasa train task`" in fails(capsys, "train", "few-shot", "--start-from", file)


def test_name_that_is_no_model_is_refused_with_the_nearest(capsys):
    assert "did you mean 'copy_ntm'?" in fails(capsys, "eval", "copy_nmt")
    assert "did you mean 'copy_ntm'?" in fails(capsys, "list", "copy_nmt")
    assert "did you mean 'copy_ntm'?" in fails(capsys, "train", "task", "--start-from", "copy_nmt")


@pytest.mark.ray
def test_an_agent_plays_is_evaluated_and_started_from(tmp_path, capsys, ray_cluster):
    run, file, begun = (tmp_path / name for name in ("run", "agent", "begun"))
    do(capsys, "train", *RL.split(), "--out", run)
    do(capsys, "export", run, "--out", file)
    few = ["--episodes", "2"]
    found = scores(capsys, run, *few) | {"note": None}  # a file has no metrics of training to compare with
    assert found == scores(capsys, file, *few)
    assert json.loads(do(capsys, "play", file, *few, "--json"))["return_mean"] == found["return_mean"]
    do(capsys, "train", *RL.split(), "--steps", "64", "--lr", "1e-30", "--start-from", file, "--out", begun)
    played, first = (load_checkpoint(find_checkpoint(path / "checkpoints", "last"))["played"] for path in (begun, file))
    assert first.keys() == played.keys()
    assert all((played[name] == value).all() for name, value in first.items())


@pytest.mark.parametrize("line", MODELS.values())
def test_command_of_an_experiment_asks_for_it_again(line):
    kind, *words = line.split()
    request = read_command_line(kind, [*words, "--seed", "3"])
    found = words_for(kind_of(kind).experiments, request.recipe, request.experiment)
    assert found[:2] == ["train", kind]
    assert read_command_line(kind, found[2:]).experiment == request.experiment


@pytest.mark.parametrize(
    "line",
    [
        "task copy_ntm --memory.slots 9 --no-compile --curriculum.kind doubling --curriculum.level max_length",
        "task --task mqar --sampler.pairs 3 --core dnc --memory.slots 5 --clip-norm None --lr 3e-4",
        "rl --env CartPole-v1 --core gru --env-settings render_mode ansi --previous-action --stop-at 3.5",
        "rl repeat_previous_medium_ntm --stop-at None --no-previous-action",
    ],
)
def test_every_sort_of_option_is_spelt(line):
    kind, *words = line.split()
    request = read_command_line(kind, words)
    found = words_for(kind_of(kind).experiments, request.recipe, request.experiment)
    assert read_command_line(kind, found[2:]).experiment == request.experiment


def test_nested_values_come_back_as_they_were():
    tensors = {}
    value = {"a": (1, [None, 2.5, True]), 3: {"w": torch.arange(3)}, "b": b"\x00\xff", "nan": float("inf")}
    tree = json.loads(json.dumps(model_files.packed(value, "run", tensors)))
    found = model_files.unpacked(tree, tensors)
    assert list(tensors) == ["run.3.w"]
    assert (found.pop(3)["w"] == torch.arange(3)).all()
    assert found == {name: one for name, one in value.items() if name != 3}


def test_models_that_come_with_lukasa_are_small_and_described():
    files = sorted(model_files.FOLDER.glob("*"))
    assert [file.name for file in files] == [f"{name}.safetensors" for name in sorted(MODELS)]
    assert len(files) <= MOST
    for file in files:
        card = model_files.read_card(file)
        assert card["bytes"] < BELOW
        assert card["licence"] == "MIT"
        assert len(card["spread"]) == len(card["seeds"]) == 3
    assert "models/*.safetensors" in (ROOT / "setup.py").read_text(encoding="utf-8")


def test_page_of_results_says_what_the_cards_say():
    written = (ROOT / "results" / "models_cpu2_202611.md").read_text(encoding="utf-8")
    assert page() in written


SLOW = {"omniglot_prototypical", "repeat_previous_medium_ntm", "copy_ntm", "babi_qrn"}
EVALUATED = [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in sorted(MODELS)]


@pytest.mark.parametrize("name", EVALUATED)
def test_evaluating_a_model_gives_the_figure_of_its_card(name, capsys):
    card = model_files.read_card(model_files.located(Path(name)))
    way = kind_of(card["kind"]).evaluation()
    code, said = main(["eval", name, "--json"]), capsys.readouterr()
    if code and "is not on this machine" in said.err:
        pytest.skip(f"its data is not here: {said.err}")
    assert code == 0, said.err
    found = way.figure(json.loads(said.out))
    if "generated strokes" in found["of"]:  # what stands in for Omniglot where it is not
        pytest.skip("its data is not here")
    assert found["value"] == pytest.approx(card["figure"]["value"], rel=1e-3, abs=1e-6)
    assert found["of"] == card["figure"]["of"]
    assert re.match(r"^[\w %]+$", found["measure"])
