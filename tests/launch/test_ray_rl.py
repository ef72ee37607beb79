"""Reinforcement learning on Ray's workers that get lost, on one cluster with two CPUs."""

import os
import signal
import threading
import time

import pytest

from lukasa.benchmarks.machines import workers_named
from lukasa.launch.cli import main
from lukasa.launch.runs.checkpoints import list_checkpoints
from lukasa.launch.runs.directory import Run, read_metrics

pytestmark = pytest.mark.ray

OPTIONS = (
    "--env RepeatPrevious-k1-v0 --core gru --memory.size 8 --envs-per-runner 4 --batch-size 128 --minibatch-size 64 "
    "--epochs 1 --checkpoint-every 0 --embedding 8 --output 8"
)


def train(run: Run, *argv: str) -> int:
    return main(["train", "rl", "--out", str(run.path), *argv])


def kill_after_rows(run: Run, rows: int, name: str) -> list[int]:
    """Kill the newest process of a name once the run has measured some iterations; the checkpoint's step by then."""
    import ray

    before: list[int] = []
    session = ray._private.worker._global_node.get_session_dir_path()

    def wait() -> None:
        while len(read_metrics(run)) < rows or not list_checkpoints(run.checkpoints):
            time.sleep(0.05)
        before.append(list_checkpoints(run.checkpoints)[-1].step)
        os.kill(workers_named(name, session)[-1], signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()
    return before


@pytest.mark.slow
def test_lost_runner_is_replaced_while_training_goes_on(tmp_path, ray_cluster, capsys):
    run = Run(tmp_path / "run")
    kill_after_rows(run, 2, "EnvRunner")
    assert train(run, *OPTIONS.split(), "--steps", "1500", "--ray", "--workers", "2") == 0
    told = capsys.readouterr().err
    assert "a runner that was lost was started anew: 2 at work" in told
    assert "goes on from" not in told
    assert read_metrics(run)[-1]["env_steps"] >= 1500


@pytest.mark.slow
def test_lost_learner_takes_the_run_back_to_its_last_checkpoint(tmp_path, ray_cluster, capsys):
    run = Run(tmp_path / "run")
    before = kill_after_rows(run, 3, "_WrappedExecutable")  # what Ray calls a learner
    options = [*OPTIONS.split(), "--steps", "1500", "--ray", "--workers", "1", "--learners", "1"]
    assert train(run, *options) == 0
    told = [line for line in capsys.readouterr().err.splitlines() if "the run goes on from" in line]
    assert len(told) == 1
    assert before[0] <= int(told[0].split()[-2].replace(",", ""))
    steps = [row["env_steps"] for row in read_metrics(run)]
    assert steps == sorted(set(steps))
    assert steps[-1] >= 1500


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("--ray --workers 3", "3 CPUs needed for 3 workers, and the Ray cluster has 2"),
        ("--ray --learners 1 --gpus-per-worker 1", "1 GPU needed for 1 worker, and the Ray cluster has 0"),
        ("--ray --gpus-per-worker 1", "--gpus-per-worker 1 is for learners: add --learners 1 or more"),
        ("--learners 3", "option --batch-size is 128: expected a number that 3 learners divide"),
        ("--aggregators 1", "option --aggregators is not for algorithm 'ppo'"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(tmp_path, ray_cluster, capsys, options, told):
    run = Run(tmp_path / "run")
    assert train(run, *OPTIONS.split(), "--steps", "100", *options.split()) == 2
    assert told in capsys.readouterr().err
    assert not run.path.exists()
