"""Sweeps: what they refuse, what they write, and that they go on where they were killed."""

import json
import signal
import subprocess
import sys
import time

import pytest

from lukasa.ground.mistakes import UserError
from lukasa.launch.cli import main
from lukasa.launch.kinds.supervised.recipes import TASK
from lukasa.launch.ray.placement import own_bundles
from lukasa.launch.runs.checkpoints import list_checkpoints
from lukasa.launch.runs.directory import Run, locked, read_metrics
from lukasa.launch.runs.metrics import MetricsWriter
from lukasa.launch.sweeps.sweep import Result, Sweep, Trial, open_sweep, ranked, results
from lukasa.launch.sweeps.tune import TuneOptions, new_sweep, split_own

TASK_OPTIONS = "task --task copy --sampler.max-length 2 --core gru --memory.size 4 --batch-size 8 --report-every 64"


def make_sweep(path, grid, steps=640, **options):
    words = TASK_OPTIONS.split()
    asked = TuneOptions(grid=tuple(grid), out=str(path), **options)
    return new_sweep(words[:1], [*words[1:], "--steps", str(steps)], asked)


def write_scores(sweep, name, scores, every=64):
    """Metrics of a trial as its training would leave them."""
    result = next(one for one in results(sweep) if one.trial.name == name)
    writer = MetricsWriter(result.run)
    for index, score in enumerate(scores, 1):
        writer.write({"sequences": index * every, "score": score})
    writer.close()


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (
            "repeat_previous_nmt --grid lr=1",
            "unknown recipe 'repeat_previous_nmt': did you mean 'repeat_previous_ntm'?",
        ),
        ("copy_ntm --grid lrr=1", "unknown field 'lrr' of lukasa train task: did you mean 'lr'?"),
        ("copy_ntm --grid memory.slot=1,2", "unknown option '--memory.slot': did you mean '--memory.slots'?"),
        ("copy_ntm --grid memory.slots=many", "option --memory.slots is 'many': expected a whole number"),
        ("copy_ntm --grid lr=-1", "option --lr is -1.0: expected more than 0"),
        ("copy_ntm --grid task=copy,repeat_copy", "these trials are of 2 tasks (copy, repeat_copy)"),
        ("copy_ntm", "nothing to sweep: add --grid FIELD=VALUE,VALUE"),
        ("copy_ntm --grid lr=1 --workers 2", "--workers is for a single run"),
        ("copy_ntm --grid lr=1 --samples 0", "option --samples is 0: expected at least 1"),
        ("--grid lr=1", "lukasa tune takes one recipe"),
        ("--resume", "--resume needs to know which sweep: add --out DIR"),
        ("copy_ntm --resume --out /nowhere", "a sweep goes on as it was begun"),
        ("--resume --out /nowhere", "there is no sweep at /nowhere"),
    ],
)
def test_what_cannot_be_swept_is_refused_before_anything_is_written(tmp_path, monkeypatch, capsys, argv, told):
    monkeypatch.chdir(tmp_path)
    assert main(["tune", *argv.split()]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_options_of_the_sweep_are_told_from_those_of_training():
    argv = "--grid lr=1,2 seed=0 --steps 9 --grid=core=a --samples 2 --memory.slots=4"
    own, theirs = split_own(argv.split())
    assert own == ["--grid", "lr=1,2", "seed=0", "core=a", "--samples", "2"]
    assert theirs == ["--steps", "9", "--memory.slots=4"]


def test_every_trial_is_a_run_whose_command_line_trains_the_same(tmp_path):
    from lukasa.launch.training.requests import read_command_line

    sweep = make_sweep(tmp_path / "s", ["lr=1e-2,1e-3", "memory.size=4,8"], samples=2)
    assert len(sweep.trials) == 8
    found = results(open_sweep(tmp_path / "s"))
    assert [read_command_line("task", one.trial.words).experiment for one in found] == [one.experiment for one in found]
    assert {(one.experiment.lr, one.experiment.memory["size"], one.experiment.seed) for one in found} == {
        (lr, size, seed) for lr in (1e-2, 1e-3) for size in (4, 8) for seed in (0, 1)
    }
    assert sweep.settings == {"grace": 640 // 9, "reduction": 3}
    with pytest.raises(UserError, match=r"sweep .* exists: add --resume to continue it"):
        make_sweep(tmp_path / "s", ["lr=1e-2,1e-3"])


def test_trials_are_ranked_by_last_score_then_by_steps_and_failed_ones_come_after(tmp_path):
    sweep = Sweep(tmp_path, "task", ["lr"], [], {})
    experiment = TASK.make("copy_ntm")  # bits per sequence: the lower the better

    def result(name, steps, scores, ending="done"):
        return Result(Trial(name, {}, ()), None, experiment, steps, scores, ending)  # type: ignore[arg-type]

    found = [
        result("none", [], []),
        result("failed", [1, 2], [9.0, 0.5], "failed: loss is nan"),
        result("slow", [1, 3], [9.0, 1.0]),
        result("fast", [1, 2], [0.1, 1.0]),
        result("best", [1, 2], [9.0, 0.9], "stopped early"),
    ]
    assert [one.trial.name for one in ranked(sweep, found)] == ["best", "fast", "slow", "failed", "none"]


def test_trial_takes_its_threads_and_its_processes(tmp_path):
    from lukasa.launch.kinds.rl.options import RL

    experiment = RL.make("repeat_previous_gru")
    assert own_bundles(experiment) == [{"CPU": 1, "GPU": 0.0}]
    from dataclasses import replace

    many = replace(experiment, threads=3, runners=2, learners=2, aggregators=1, algorithm="appo")
    assert sum(one["CPU"] for one in own_bundles(many)) == 3 + 2 + 2 * 2
    assert own_bundles(many, cpus=5)[0]["CPU"] == 5
    on_gpu = replace(TASK.make("copy_ntm"), device="cuda")
    assert own_bundles(on_gpu)[0]["GPU"] == 1
    assert own_bundles(on_gpu, gpus=0.5)[0]["GPU"] == 0.5


def test_scheduler_remembers_what_ended_trials_measured(tmp_path):
    from types import SimpleNamespace

    from lukasa.launch.sweeps.trials import make_scheduler

    sweep = make_sweep(tmp_path / "s", ["lr=1e-2,1e-3,1e-4"], grace=64)
    write_scores(sweep, "000", [1.0])
    write_scores(sweep, "001", [2.0])
    late = SimpleNamespace(trial_id="late")

    def verdict():
        scheduler = make_scheduler(sweep)
        scheduler.on_trial_add(None, late)  # type: ignore[arg-type]
        return scheduler.on_trial_result(None, late, {"steps": 64, "score": 3.0})  # type: ignore[arg-type]

    assert verdict() == "CONTINUE"  # the first to come to a rung always goes on
    sweep.note_ending("000", "done")
    sweep.note_ending("001", "stopped early")
    assert verdict() == "STOP"


@pytest.mark.ray
def test_sweep_trains_every_trial_and_tells_the_best(tmp_path, ray_cluster, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    argv = ["tune", *TASK_OPTIONS.split(), "--steps", "640", "--grid", "lr=1e-2,1e-9", "--out", "s", "--grace", "0"]
    assert main(argv) == 0
    told = capsys.readouterr().out
    sweep = open_sweep(tmp_path / "s")
    assert sweep.endings() == {"000": "done", "001": "done"}
    found = results(sweep)
    assert [one.steps[-1] for one in found] == [640, 640]
    assert found[0].score < found[1].score
    assert all(list_checkpoints(one.run.checkpoints)[-1].step == 640 for one in found)
    assert "--lr 1e-2 --seed 0" in told.split("train the best one again with")[1]
    assert told.index("000") < told.index("001")
    assert (tmp_path / "s" / "sweep.png").stat().st_size > 10_000
    assert not (tmp_path / "s" / ".tune").exists()
    assert main(["eval", "s/trials/000", "--sequences", "8"]) == 0
    before = [one.run.metrics_file.stat().st_mtime_ns for one in found]
    assert main(["tune", "--resume", "--out", "s"]) == 0
    assert [one.run.metrics_file.stat().st_mtime_ns for one in found] == before


@pytest.mark.slow
@pytest.mark.ray
def test_trial_that_diverges_is_failed_and_the_others_go_on(tmp_path, ray_cluster, capsys):
    folder = str(tmp_path / "s")
    argv = ["tune", *TASK_OPTIONS.split(), "--optimizer", "adamw", "--weight-decay", "10", "--steps", "256"]
    assert main([*argv, "--grid", "lr=1e30,1e-3", "--out", folder, "--grace", "0"]) == 0
    endings = open_sweep(tmp_path / "s").endings()
    assert endings["000"].startswith("failed: ")
    assert endings["001"] == "done"


def wait_for_checkpoint(folder):
    deadline = time.monotonic() + 200
    while not list_checkpoints(folder / "checkpoints"):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def wait_until_nobody_trains(folder):
    """A trial outlives a killed sweep until its Ray notices: its run is held so long."""
    deadline = time.monotonic() + 100
    while True:
        try:
            with locked(Run(folder, "sequences")):
                return
        except UserError:
            assert time.monotonic() < deadline
            time.sleep(0.1)


@pytest.mark.ray
@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_stopped_sweep_goes_on_where_it_was(tmp_path, ray_cluster, number):
    folder = tmp_path / "s"
    # Steps that no machine gets done meanwhile, with a checkpoint at every line of metrics.
    options = [*TASK_OPTIONS.split(), "--steps", "4000000", "--checkpoint-every", "0"]
    command = [sys.executable, "-m", "lukasa.launch", "tune", *options, "--grid", "lr=1e-3", "--samples", "2"]
    first = folder / "trials" / "000"
    with subprocess.Popen(
        [*command, "--concurrent", "1", "--out", str(folder)], stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            wait_for_checkpoint(first)
            process.send_signal(number)
            told = process.communicate(timeout=60)[1]
        finally:
            process.kill()
    assert process.returncode == (-9 if number == signal.SIGKILL else 143)
    if number == signal.SIGTERM:
        assert f"tune --resume --out {folder}" in told
    sweep = open_sweep(folder)
    assert sweep.endings() == {}
    wait_until_nobody_trains(first)
    # From here on the trials are done after a few more batches.
    reached = list_checkpoints(first / "checkpoints")[-1].step
    for trial in sweep.trials:
        file = sweep.folder(trial) / "config.json"
        config = json.loads(file.read_text())
        config["experiment"] |= {"steps": reached + 640}
        file.write_text(json.dumps(config))
    sweep.note_ending("001", "stopped early")
    assert main(["tune", "--resume", "--out", str(folder)]) == 0
    assert sweep.endings() == {"001": "stopped early", "000": "done"}
    rows = read_metrics(results(sweep)[0].run)
    steps = [row["sequences"] for row in rows]
    assert steps == sorted(set(steps))
    assert steps[-1] == reached + 640
    assert not read_metrics(results(sweep)[1].run)
