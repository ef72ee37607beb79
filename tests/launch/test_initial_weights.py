"""Runs that begin with the weights of another."""

import shutil

import pytest
import torch

from lukasa.launch.cli import main
from lukasa.launch.runs.checkpoints import list_checkpoints, load_checkpoint
from lukasa.launch.runs.directory import Run, open_run
from tests.launch.refusals import fails

CORE = ["--core", "gru", "--memory.size", "6"]
TASK = ["task", "--task", "copy", "--sampler.bits", "2", *CORE, "--batch-size", "4", "--report-every", "8"]
DATA = ["--source", "generated", "--part", "background_small1", "--size", "16", "--options.channels", "4"]
FEW_SHOT = ["few-shot", *DATA, "--ways", "3", "--queries", "2", "--batch-size", "4", "--report-every", "4"]
RL = ["rl", "--env", "RepeatPrevious-k1-v0", *CORE, "--envs-per-runner", "4", "--batch-size", "64"]
RL += ["--minibatch-size", "32", "--epochs", "1", "--ablation", "0"]
PARTS = {"task": "core", "few-shot": "learner"}
STEPS = {"task": 4, "few-shot": 4, "rl": 64}
"""Of a batch: one line of metrics."""


def train(run: Run, *argv: str) -> int:
    return main(["train", *argv, "--out", str(run.path)])


def weights(run: Run) -> dict[str, torch.Tensor]:
    from lukasa.launch.kinds.rl.algorithms import played_weights

    _, config = open_run(run.path)
    state = load_checkpoint(list_checkpoints(run.checkpoints)[-1])
    return played_weights(state) if config["kind"] == "rl" else state["trainer"][PARTS[config["kind"]]]


KINDS = [TASK, FEW_SHOT, pytest.param(RL, marks=pytest.mark.ray)]


@pytest.fixture(scope="module", params=KINDS, ids=["task", "few-shot", "rl"])
def kind(request):
    return request.param


def few(kind: list[str], batches: int = 1) -> list[str]:
    return ["--steps", str(batches * STEPS[kind[0]])]


@pytest.fixture(scope="module")
def first(kind, tmp_path_factory):
    run = Run(tmp_path_factory.mktemp("runs") / "first")
    assert train(run, *kind, *few(kind, 4)) == 0
    return run


def test_training_begins_with_another_runs_weights(kind, first, tmp_path):
    started = Run(tmp_path / "started")
    # A rate that moves nothing shows what it began with; the seed would have drawn other weights.
    still = [*few(kind), "--lr", "1e-30", "--seed", "5"]
    assert train(started, *kind, *still, "--start-from", str(first.path)) == 0
    for name, value in weights(first).items():
        if "running_" not in name and "num_batches" not in name:  # statistics go on
            assert (weights(started)[name] == value).all(), name


def test_a_checkpoint_can_be_named(kind, first, tmp_path):
    started, checkpoint = Run(tmp_path / "started"), list_checkpoints(first.checkpoints)[-1].path
    assert train(started, *kind, *few(kind), "--start-from", str(checkpoint)) == 0


def test_a_resumed_run_does_not_need_them_any_more(kind, first, tmp_path):
    gone, started = tmp_path / "gone", Run(tmp_path / "started")
    shutil.copytree(first.path, gone)
    assert train(started, *kind, *few(kind), "--start-from", str(gone)) == 0
    shutil.rmtree(gone)
    assert train(started, kind[0], "--resume", *few(kind, 2)) == 0


def refused(capsys, run: Run, *argv: str) -> str:
    """Train where it must be refused before anything is written; returns the one sentence."""
    sentence = fails(capsys, "train", *argv, "--out", str(run.path))
    assert not run.path.exists()
    return sentence


def test_other_shapes_and_cores_are_refused(kind, first, tmp_path, capsys):
    changes = [["--options.channels", "5"]] if kind is FEW_SHOT else [["--memory.size", "7"], ["--core", "lstm"]]
    for change in changes:
        printed = refused(capsys, Run(tmp_path / "other"), *kind, *change, "--start-from", str(first.path))
        assert f"--start-from {first.path} does not fit: its parameter" in printed


def test_another_kind_and_nothing_at_all_are_refused(kind, first, tmp_path, capsys):
    other = FEW_SHOT if kind is TASK else TASK
    printed = refused(capsys, Run(tmp_path / "other"), *other, "--start-from", str(first.path))
    assert f"was written by `lukasa train {kind[0]}`: give a run of `train {other[0]}`" in printed
    printed = refused(capsys, Run(tmp_path / "none"), *kind, "--start-from", str(tmp_path / "nowhere"))
    assert "there is no run at" in printed


@pytest.mark.ray
def test_a_target_network_begins_with_the_same_weights(tmp_path, ray_cluster):
    from lukasa.launch.kinds.rl.algorithms import begin_with, make_config, played_weights, present_weights
    from lukasa.launch.ray.quiet import quiet_libraries
    from lukasa.launch.training.requests import read_command_line

    run = Run(tmp_path / "first")
    assert train(run, *RL, *few(RL)) == 0
    with quiet_libraries():
        algorithm = make_config(
            read_command_line("rl", [*RL[1 : RL.index("--minibatch-size")], "--algorithm", "appo"]).experiment
        ).build_algo()
        begin_with(algorithm, str(run.path))
        present = present_weights(algorithm)
        algorithm.stop()
    trained = played_weights(load_checkpoint(list_checkpoints(run.checkpoints)[-1]))
    assert any(name.startswith("target_") for name in present)
    for name, value in present.items():
        assert (trained[name.removeprefix("target_")] == value).all(), name
