"""Whole runs of supervised training through the command line, as small as they get."""

import json
import os
import signal
import subprocess
import sys
import time

import matplotlib.image
import pytest
import torch

from lukasa.launch.cli import main
from lukasa.launch.kinds.supervised.evaluation import EvalOptions, evaluate_run
from lukasa.launch.kinds.supervised.recipes import TASK
from lukasa.launch.runs.checkpoints import list_checkpoints, load_checkpoint
from lukasa.launch.runs.directory import Run, open_run, read_metrics

SMALL = "--memory.slots 5 --memory.word-size 4 --memory.controller-size 8 --batch-size 4 --report-every 10"
# A curriculum whose level moves while the test runs, and a learning rate that does.
MOVING = (
    "--task copy --core ntm --sampler.bits 2 --schedule cosine --warmup 40 --lr 0.01 --curriculum.kind doubling "
    "--curriculum.level min_length max_length --curriculum.limit 8 --curriculum.threshold 4.2 --curriculum.window 5 "
    "--validate-every 250"
)
STEPS = 800
COUNTED = ("sequences", "loss", "score", "bits", "level", "lr", "grad_norm", "validation")


def start(run: Run, *argv: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "lukasa.launch", "train", "task", "--out", str(run.path), *argv]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_rows(process: subprocess.Popen[str], run: Run, count: int) -> None:
    """Until the run has measured some lines; fails with its words when it ends before."""
    end = time.monotonic() + 100
    while len(read_metrics(run)) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "the run takes too long"
        time.sleep(0.01)


def train(run: Run, *argv: str) -> int:
    return main(["train", "task", "--out", str(run.path), *argv])


def measured(run: Run) -> list[tuple]:
    """What does not depend on the clock."""
    return [tuple(row.get(name) for name in COUNTED) for row in read_metrics(run)]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    run = Run(tmp_path_factory.mktemp("runs") / "whole", "sequences")
    assert train(run, *MOVING.split(), *SMALL.split(), "--steps", str(STEPS)) == 0
    return run


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A run that was killed while it trained, with checkpoints between its lines of metrics."""
    run = Run(tmp_path_factory.mktemp("runs") / "killed", "sequences")
    options = [*MOVING.split(), *SMALL.split(), "--steps", str(STEPS)]
    process = start(run, *options, "--checkpoint-every", "0.05")
    wait_for_rows(process, run, 15)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    return run


def test_killed_run_resumes_to_the_losses_of_the_uninterrupted_one(killed, uninterrupted):
    lines, step = len(read_metrics(killed)), list_checkpoints(killed.checkpoints)[-1].step
    assert 0 < step < STEPS
    assert lines < len(read_metrics(uninterrupted))
    process = start(killed, "--resume", "--checkpoint-every", "1000")
    wait_for_rows(process, killed, lines + 5)
    process.send_signal(signal.SIGTERM)  # a second cut, at some batch, that saves
    out, told = process.communicate(timeout=100)
    assert process.returncode == 128 + signal.SIGTERM, out + told
    assert f"-m lukasa.launch train task --out {killed.path} --resume" in told
    assert train(killed, "--resume") == 0
    assert measured(killed) == measured(uninterrupted)
    assert len({row["level"] for row in read_metrics(killed)}) > 1
    last = [list_checkpoints(run.checkpoints)[-1] for run in (killed, uninterrupted)]
    cores = [load_checkpoint(one)["trainer"]["core"] for one in last]
    assert all((cores[0][name] == cores[1][name]).all() for name in cores[0])


def test_run_killed_before_its_first_checkpoint_starts_anew(uninterrupted, tmp_path):
    run = Run(tmp_path / "run", "sequences")
    options = [*MOVING.split(), *SMALL.split(), "--steps", str(STEPS)]
    process = start(run, *options)
    wait_for_rows(process, run, 2)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert train(run, "--resume", "--steps", "200", "--checkpoint-every", "1000") == 0
    # The schedule ends with the steps, so only the rate differs, and with it what follows the first update.
    assert measured(run)[0][0] == measured(uninterrupted)[0][0]
    assert read_metrics(run)[-1]["sequences"] == 200
    assert (run.path / "metrics.replaced.jsonl").exists()


def test_metrics_have_what_plots_and_people_need(uninterrupted):
    rows = read_metrics(uninterrupted)
    assert [row["sequences"] for row in rows] == [12 * (number + 1) for number in range(66)] + [STEPS]
    row = rows[-1]
    assert {"loss", "bits", "score", "level", "lr", "grad_norm", "sequences_per_second", "seconds"} <= set(row)
    assert row["bits"] == pytest.approx(row["loss"] / 0.6931, rel=1e-3)
    assert row["grad_norm/controller"] <= row["grad_norm"]
    run, config = open_run(uninterrupted.path)
    assert (run.step_key, config["kind"]) == ("sequences", "task")
    assert any(run.events.iterdir())


def test_gradient_flow_is_measured_on_the_same_sequences_and_changes_nothing(trained, tmp_path):
    run = Run(tmp_path / "run", "sequences")
    options = [*SMALL.split(), "--steps", "60", "--sampler.max-length", "4", "--sampler.bits", "3"]
    assert train(run, *options, "--gradient-flow") == 0
    assert measured(run) == measured(trained)
    flows = [row["flow/memory"] for row in read_metrics(run)]
    assert len({len(flow) for flow in flows}) == 1
    assert all(flow[0] > 0 and flow[-1] == 0 for flow in flows)
    assert flows[0] != flows[-1]


def test_validation_comes_with_the_line_after_its_sequences_and_the_last_one(uninterrupted):
    validated = [row["sequences"] for row in read_metrics(uninterrupted) if "validation" in row]
    assert validated == [252, 504, 756, STEPS]
    assert all("validation" not in row for row in read_metrics(uninterrupted) if row["sequences"] not in validated)


def test_validation_is_the_score_of_the_splits_first_sequences_and_changes_nothing(trained, tmp_path):
    run = Run(tmp_path / "run", "sequences")
    options = [*SMALL.split(), "--steps", "60", "--sampler.max-length", "4", "--sampler.bits", "3"]
    assert train(run, *options, "--validate-every", "1") == 0
    rows = read_metrics(run)
    assert [row["score"] for row in rows] == [row["score"] for row in read_metrics(trained)]
    assert len({row["validation"] for row in rows}) == len(rows)
    _, config = open_run(run.path)
    asked = EvalOptions(split="validation", sequences=256, checkpoint="last")
    found = evaluate_run(run, TASK.from_json(config["experiment"]), asked)
    assert rows[-1]["validation"] == pytest.approx(found["score"], rel=1e-5)
    assert main(["plot", str(run.path)]) == 0


def test_run_of_another_kind_is_not_resumed(uninterrupted, capsys):
    assert main(["train", "rl", "--out", str(uninterrupted.path), "--resume"]) == 2
    assert "was written by `lukasa train task`" in capsys.readouterr().err


def test_resuming_as_something_else_is_refused(uninterrupted, capsys):
    for changed, told in (
        (["--lr", "0.5"], "was written with --lr 0.01, not 0.5"),
        (["--task", "reverse"], "was written with --task copy, not reverse"),
        (["--curriculum.limit", "3"], "was written with --curriculum"),
    ):
        assert train(uninterrupted, "--resume", *changed) == 2
        assert told in capsys.readouterr().err


def test_not_a_number_names_batch_group_and_last_good_checkpoint(tmp_path, capsys, monkeypatch):
    run = Run(tmp_path / "run", "sequences")
    options = [*SMALL.split(), "--steps", "40", "--sampler.max-length", "3"]
    assert train(run, *options) == 0
    good = list_checkpoints(run.checkpoints)
    before = {path: path.read_bytes() for path in run.path.rglob("*.pt")}
    metrics = run.metrics_file.read_text()
    capsys.readouterr()
    original = torch.optim.Adam.step

    def diverge(self, closure=None):
        original(self, closure)
        self.param_groups[0]["params"][0].data.fill_(float("nan"))

    monkeypatch.setattr(torch.optim.Adam, "step", diverge)
    assert train(run, "--resume", "--steps", "80", "--checkpoint-every", "1000") == 1
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith("lukasa: the loss is nan at batch 12 in parameter group ")
    assert "controller" in told
    assert told.endswith(f"the last good checkpoint is {good[-1].path}")
    assert {path: path.read_bytes() for path in run.path.rglob("*.pt")} == before
    assert run.metrics_file.read_text() == metrics


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A small NTM after a few batches of copying up to 4 words."""
    run = Run(tmp_path_factory.mktemp("runs") / "trained", "sequences")
    assert train(run, *SMALL.split(), "--steps", "60", "--sampler.max-length", "4", "--sampler.bits", "3") == 0
    return run


def test_stop_at_ends_a_run_where_a_low_score_is_good(tmp_path, capsys):
    run = Run(tmp_path / "run", "sequences")
    assert train(run, *SMALL.split(), "--steps", "1000", "--stop-at", "1000") == 0
    assert read_metrics(run)[-1]["sequences"] == 12
    assert "mean bits per sequence" in capsys.readouterr().out


def test_best_checkpoint_is_that_of_the_lowest_bits(trained, tmp_path):
    run = Run(tmp_path / "run", "sequences")
    assert train(run, *SMALL.split(), "--steps", "60", "--checkpoint-every", "0", "--lr", "1e-3") == 0
    scores = [one.score for one in list_checkpoints(run.checkpoints)]
    assert all(score is not None and score < 0 for score in scores)


def test_eval_reports_the_test_split(trained, capsys):
    argv = ["eval", str(trained.path), "--sequences", "70", "--json"]
    assert main(argv) == 0
    result = json.loads(capsys.readouterr().out)
    assert main(argv) == 0
    assert json.loads(capsys.readouterr().out) == result
    assert (result["split"], result["sequences"], result["unit"]) == ("test", 70, "bits per sequence")
    assert (result["chance"], result["best"]) == (7.5, 0.0)  # 3 bits, 2.5 words
    assert result["interval"][0] < result["score"] < result["interval"][1]
    assert result["score"] == pytest.approx(result["bits"])
    assert main(["eval", str(trained.path), "--split", "longer", "--sequences", "2"]) == 0
    assert "longer: 120 words" in capsys.readouterr().out


def test_eval_tabulates_lengths_and_says_what_the_memory_cannot_hold(trained, capsys):
    argv = ["eval", str(trained.path), "--length", "2,5,9", "--sequences", "20"]
    assert main([*argv, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert [row["length"] for row in result["lengths"]] == [2, 5, 9]
    assert [row["chance"] for row in result["lengths"]] == [6.0, 15.0, 27.0]
    notes = [row["note"] for row in result["lengths"]]
    assert notes[:2] == [None, None]
    told = "9 words are to be held at once and the memory has 5 slots: 9 would do, by training with --memory.slots 9"
    assert notes[2] == told
    assert main(argv) == 0
    out = capsys.readouterr().out
    assert f"warning: length 9: {told}" in " ".join(out.split())
    assert f"{result['lengths'][0]['score']:.3f}" in out


def test_eval_ablates_the_core(trained, capsys):
    argv = ["eval", str(trained.path), "--sequences", "20"]
    results = {}
    for part in (None, "memory", "controller", "both"):
        assert main([*argv, *(["--without", part] if part else []), "--json"]) == 0
        results[part] = json.loads(capsys.readouterr().out)
    assert len({one["score"] for one in results.values()}) == 4
    assert main([*argv, "--ablation", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    for row in result["ablation"]:
        assert row.items() <= results[row["without"]].items()
    assert {**result, "ablation": None} == {**results[None], "ablation": None}
    assert main([*argv, "--ablation", "--length", "2,3", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["ablation"]
    assert [(row["without"], row["length"]) for row in rows[:4]] == [(None, 2), (None, 3), ("memory", 2), ("memory", 3)]
    assert main([*argv, "--ablation"]) == 0
    shown = capsys.readouterr().out
    assert [line.split()[0] for line in shown.splitlines()[2:6]] == ["nothing", "memory", "controller", "both"]
    assert f"{results['both']['score']:.3f}" in shown
    assert main([*argv, "--without", "both"]) == 0
    assert "memory and controller wiped before every step" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["--split", "tests"], "has no split 'tests' to test on: take validation or test or longer"),
        (["--split", "train"], "has no split 'train'"),
        (["--length", "3,many"], "option --length has 'many': expected whole numbers"),
        (["--length", "0"], "option --length has '0'"),
        (["--sequences", "0"], "option --sequences is 0: expected at least 1"),
        (["--episodes", "3"], "unknown option '--episodes'"),
        (["--checkpoint", "step-7"], "has no checkpoint 'step-7'"),
        (["--task", "copi"], "did you mean 'copy'?"),
        (["--task", "mqar"], "has inputs and outputs of width (64, 64), the core was trained with (4, 3)"),
        (["--slots", "9"], "learned something for each of its slots"),
        (["--without", "memory", "--ablation"], "--ablation wipes each part in turn"),
        (["--without", "links"], "'links'"),
    ],
)
def test_eval_refuses_what_it_cannot_do(trained, capsys, argv, told):
    assert main(["eval", str(trained.path), *argv]) == 2
    assert told in capsys.readouterr().err


def test_core_without_weights_for_slots_is_scored_with_more_of_them(tmp_path, capsys):
    run = Run(tmp_path / "run", "sequences")
    options = "--task copy --sampler.max-length 3 --steps 8 --core dnc --memory.slots 4 --memory.controller-size 4"
    assert train(run, *options.split(), "--batch-size", "4") == 0
    capsys.readouterr()
    assert main(["eval", str(run.path), "--length", "6", "--sequences", "4", "--json"]) == 0
    few = json.loads(capsys.readouterr().out)["lengths"][0]
    assert main(["eval", str(run.path), "--length", "6", "--sequences", "4", "--slots", "6", "--json"]) == 0
    enough = json.loads(capsys.readouterr().out)["lengths"][0]
    assert (few["note"] is None, enough["note"]) == (False, None)
    assert few["score"] != enough["score"]


def test_actions_are_rounded_or_not_whatever_the_run_was_trained_with(tmp_path, capsys):
    run = Run(tmp_path / "run", "sequences")
    options = "--task stack_anbn --core stack_rnn --memory.size 4 --memory.depth 8 --sampler.max-n 4 --steps 8"
    assert train(run, *options.split(), "--batch-size", "4") == 0
    bits = {}
    for asked in ([], ["--rounding", "never"], ["--rounding", "eval"]):
        capsys.readouterr()
        assert main(["eval", str(run.path), "--length", "6", "--sequences", "4", *asked, "--json"]) == 0
        bits[tuple(asked)] = json.loads(capsys.readouterr().out)["lengths"][0]["bits"]
    assert bits[()] == bits["--rounding", "never"] != bits["--rounding", "eval"]


def test_core_without_actions_is_not_rounded(trained, capsys):
    assert main(["eval", str(trained.path), "--rounding", "eval"]) == 2
    assert "core 'ntm' has no actions to round: leave --rounding out" in capsys.readouterr().err


def test_core_is_scored_on_another_task_of_the_same_widths(tmp_path, capsys):
    run = Run(tmp_path / "run", "sequences")
    options = "--task copy --sampler.max-length 3 --steps 8 --core lstm --memory.size 4 --batch-size 4"
    assert train(run, *options.split()) == 0
    capsys.readouterr()
    assert main(["eval", str(run.path), "--task", "reverse", "--sequences", "4", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["chance"] == 84.0


@pytest.mark.parametrize(
    ("options", "pictures"),
    [
        ("--task copy --core ntm", ["learning", "answers", "memory", "contents", "gradients"]),
        ("--task copy --core dnc --memory.read-heads 2", ["learning", "answers", "memory", "contents", "gradients"]),
        ("--task babi_made --sampler.tasks 1 --core ntm", ["learning", "answers", "memory", "contents", "gradients"]),
        ("--task binary_addition --core gru", ["learning", "answers", "memory", "gradients"]),
    ],
)
def test_plot_draws_curve_answers_memory_and_gradients(tmp_path, capsys, options, pictures):
    run = Run(tmp_path / "run", "sequences")
    small = SMALL if "gru" not in options else "--memory.size 6 --batch-size 4 --report-every 10"
    assert train(run, *options.split(), *small.split(), "--steps", "24") == 0
    capsys.readouterr()
    assert main(["plot", str(run.path)]) == 0
    assert capsys.readouterr().out.split() == [str(run.plots / f"{name}.png") for name in pictures]
    for name in pictures:
        assert matplotlib.image.imread(run.plots / f"{name}.png").std() > 0.03, name


def test_plot_compares_runs_of_one_task(trained, uninterrupted, capsys):
    assert main(["plot", str(trained.path), str(uninterrupted.path)]) == 0
    assert capsys.readouterr().out.split() == [str(trained.plots / "comparison.png")]
    assert main(["plot", str(uninterrupted.path), "--length", "2,300"]) == 0  # with its curriculum's level
    assert main(["plot", str(trained.path), "--length", "some"]) == 2
