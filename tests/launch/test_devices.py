"""``--device cuda``: runs are trained on a GPU, scored without one, and go on on either."""

from __future__ import annotations

import importlib.util
from unittest import mock

import pytest
import torch

from lukasa.launch.cli import main
from lukasa.launch.runs.directory import Run, read_metrics
from tests.launch.refusals import fails

MISSING = [name for name in ("docstring_parser", "tensorboardX") if importlib.util.find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"runs need {', '.join(MISSING)}, which is not installed")

RUNS = {
    "task": "--task copy --core ntm --sampler.max-length 3 --memory.slots 5 --memory.word-size 4 --lr 0.01",
    "few-shot": "--source generated --part background_small1 --size 16 --options.channels 4 --ways 3 --queries 2",
    "questions": "--data babi_made --dataset.stories 4 --tasks 1 --sentences 10 --reader query_reduction",
    "pointers": "--points 4-6 --options.size 8",
    "programs": "--tasks addition --base 3 --longest 3 --size 8 --encoding 8",
}
SMALL = "--batch-size 4 --report-every 4 --device"
EVERY_KIND = pytest.mark.parametrize("kind", RUNS)


def train(kind: str, run: Run, *words: str) -> None:
    assert main(["train", kind, "--out", str(run.path), *words]) == 0


@EVERY_KIND
@pytest.mark.parametrize("first", ["cpu", "cuda"])
def test_run_goes_on_on_another_device_and_is_scored_without_one(
    kind: str, first: str, device: torch.device, tmp_path, capsys, request
):
    then, words = {"cpu": "cuda", "cuda": "cpu"}[first], RUNS[kind].split()
    if kind == "pointers" and "pretended" in request.node.name:
        words[1] = "5"  # sets of one size: a device that is pretended has no packed sequences
    counted = {
        "task": "sequences",
        "few-shot": "episodes",
        "questions": "questions",
        "pointers": "sets",
        "programs": "traces",
    }[kind]
    moved, stayed = Run(tmp_path / "moved", counted), Run(tmp_path / "stayed", counted)
    train(kind, moved, *words, *SMALL.split(), first, "--steps", "4")
    train(kind, moved, "--resume", "--steps", "8", "--device", then)
    train(kind, stayed, *words, *SMALL.split(), "cpu", "--steps", "8")
    losses = [[row["loss"] for row in read_metrics(run)] for run in (moved, stayed)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)

    options = {
        "few-shot": ["--episodes", "2"],
        "task": ["--sequences", "8"],
        "pointers": ["--sets", "4"],
        "programs": ["--samples", "2"],
    }.get(kind, [])
    capsys.readouterr()
    with mock.patch.object(torch.cuda, "is_available", return_value=False):
        assert main(["eval", str(moved.path), *options]) == 0
    note = "this run was trained on a GPU, and there is none here: it is computed on the CPU"
    assert (note in capsys.readouterr().err) == (first == "cuda")  # as config.json says


def test_resuming_where_there_is_no_gpu_says_what_to_add(device: torch.device, tmp_path, capsys):
    run = Run(tmp_path / "run", "sequences")
    train("task", run, *RUNS["task"].split(), *SMALL.split(), "cuda", "--steps", "4")
    words = ("train", "task", "--out", str(run.path), "--resume", "--steps", "8")
    with mock.patch.object(torch.cuda, "is_available", return_value=False):
        assert "there is none: take --device cpu" in fails(capsys, *words)
