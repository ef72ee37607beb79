"""Supervised training on Ray's workers, as small as it gets, on one cluster with two CPUs."""

import contextlib
import dataclasses
import io
import os
import signal
import sys
import threading
import time

import pytest
import torch

from lukasa.ground.mistakes import UserError
from lukasa.launch.cli import main
from lukasa.launch.runs.checkpoints import list_checkpoints, load_checkpoint
from lukasa.launch.runs.directory import Run, read_metrics

pytestmark = pytest.mark.ray

# A curriculum whose level moves while the test runs; 12 sequences a line of metrics.
OPTIONS = (
    "--task copy --sampler.bits 2 --core ntm --memory.slots 5 --memory.word-size 4 --memory.controller-size 8 "
    "--batch-size 4 --report-every 12 --lr 0.01 --clip-norm 1 --curriculum.kind doubling --curriculum.limit 4 "
    "--curriculum.level min_length max_length --curriculum.threshold 4.2 --curriculum.window 5"
)
COUNTED = ("sequences", "loss", "score", "bits", "level", "lr", "grad_norm")


def train(run: Run, *argv: str) -> int:
    return main(["train", "task", "--out", str(run.path), *argv])


def measured(run: Run) -> list[tuple]:
    """What does not depend on the clock."""
    return [tuple(row[name] for name in COUNTED) for row in read_metrics(run)]


def last_core(run: Run) -> dict:
    return load_checkpoint(list_checkpoints(run.checkpoints)[-1])["trainer"]["core"]


def when(condition, act) -> threading.Thread:
    """Do something while the run goes on, once a condition holds."""

    def wait():
        end = time.monotonic() + 1000
        while not condition():
            if time.monotonic() > end:
                return
            time.sleep(0.02)
        act()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """A run in this process."""
    run = Run(tmp_path_factory.mktemp("runs") / "alone", "sequences")
    assert train(run, *OPTIONS.split(), "--steps", "216") == 0
    assert len({row["level"] for row in read_metrics(run)}) > 1
    return run


def train_and_keep_weights(run, experiment, resume, worker):
    """What each worker does, and then it leaves its weights; its process is known while it works."""
    from lukasa.launch.kinds.supervised.job import TaskJob
    from lukasa.launch.training.loop import train_job

    job = TaskJob(experiment, worker.sharing)
    (run.path / f"process-{worker.sharing.rank}").write_text(str(os.getpid()))
    outcome = train_job(run, experiment, job, resume, worker)
    torch.save(job.core.state_dict(), run.path / f"weights-{worker.sharing.rank}.pt")
    return outcome


@pytest.fixture(scope="module")
def survivor(tmp_path_factory, ray_cluster):
    """A run on two workers, one of which is killed; what was told, and the step of the checkpoint before the kill."""
    import ray.cloudpickle

    from lukasa.launch.kinds.supervised.kind import KIND
    from lukasa.launch.training.command import train_command
    from lukasa.launch.training.data_parallel import on_workers

    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    run = Run(tmp_path_factory.mktemp("runs") / "two", "sequences")
    before = []

    def kill():
        before.append(list_checkpoints(run.checkpoints)[-1].step)
        os.kill(int((run.path / "process-1").read_text()), signal.SIGKILL)

    killing = when(lambda: len(read_metrics(run)) >= 4, kill)
    options = f"{OPTIONS} --steps 216 --checkpoint-every 0 --ray --workers 2".split()
    told = io.StringIO()
    with contextlib.redirect_stderr(told):
        kind = dataclasses.replace(KIND, on_ray=lambda: on_workers(train_and_keep_weights))
        code = train_command(kind, ["--out", str(run.path), *options])
    killing.join(timeout=1)
    assert code == 0, told.getvalue()
    return run, told.getvalue(), before[0]


def test_one_worker_gives_the_losses_of_one_process_and_resumes_its_run_and_is_resumed_by_it(
    alone, tmp_path, ray_cluster
):
    run = Run(tmp_path / "run", "sequences")
    assert train(run, *OPTIONS.split(), "--steps", "72") == 0
    assert train(run, "--resume", "--steps", "144", "--ray") == 0
    assert measured(run) == measured(alone)[:12]
    assert train(run, "--resume", "--steps", "216") == 0
    assert measured(run) == measured(alone)
    mine, theirs = last_core(run), last_core(alone)
    assert all((mine[name] == theirs[name]).all() for name in theirs)


@pytest.mark.slow
def test_killed_worker_is_replaced_and_training_goes_on_from_the_last_checkpoint(survivor):
    run, told, before = survivor
    lines = [line for line in told.splitlines() if "a worker was lost: all workers go on from" in line]
    assert len(lines) == 1
    assert before <= int(lines[0].split()[-2]) <= 216
    assert [row["sequences"] for row in read_metrics(run)] == [12 * (number + 1) for number in range(18)]
    assert sorted(path.name for path in run.path.iterdir() if path.name.startswith(".")) == [".lock", ".lock-owner"]


@pytest.mark.slow
def test_two_workers_learn_what_one_learns_from_the_joint_batch(survivor, alone):
    for mine, theirs in zip(measured(survivor[0]), measured(alone), strict=True):
        assert mine == pytest.approx(theirs, rel=1e-3)
    mine, theirs = last_core(survivor[0]), last_core(alone)
    for name in theirs:
        torch.testing.assert_close(torch.as_tensor(mine[name]), torch.as_tensor(theirs[name]), rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_all_workers_hold_the_same_weights(survivor):
    run = survivor[0]
    first, second = (torch.load(run.path / f"weights-{rank}.pt", weights_only=True) for rank in (0, 1))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.slow
def test_sigterm_saves_first_and_tells_how_to_resume_on_ray(tmp_path, ray_cluster, capsys):
    run = Run(tmp_path / "run", "sequences")
    when(lambda: len(read_metrics(run)) >= 2, lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert train(run, *OPTIONS.split(), "--steps", "1000000", "--ray", "--workers", "1") == 128 + signal.SIGTERM
    told = capsys.readouterr().err
    assert f"train task --out {run.path} --resume --ray --workers 1" in told
    assert list_checkpoints(run.checkpoints)[-1].step >= read_metrics(run)[-1]["sequences"] > 0


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("--workers 2", "--workers says how to use Ray: it needs --ray"),
        ("--ray --workers 0", "option --workers is 0: expected at least 1"),
        ("--ray --workers 3", "a batch of 4 cannot be shared evenly by 3 workers"),
        ("--ray --workers 4", "4 CPUs needed for 4 workers, and the Ray cluster has 2"),
        ("--ray --device cuda --workers 2", "2 GPUs needed for 2 workers, and the Ray cluster has 0"),
        ("--ray --gpus-per-worker 1", "--gpus-per-worker 1 would stand idle: add --device cuda"),
        ("--ray --gpus-per-worker 0 --device cuda", "--device cuda needs GPUs"),
        ("--ray --address 127.0.0.1:1", "this process already uses the Ray at"),
    ],
)
def test_what_the_cluster_cannot_do_is_refused_before_anything_is_written(tmp_path, ray_cluster, capsys, options, told):
    run = Run(tmp_path / "run", "sequences")
    assert train(run, *OPTIONS.split(), "--steps", "4", *options.split()) == 2
    assert told in capsys.readouterr().err
    assert not run.path.exists()


def test_machine_that_does_not_see_the_run_is_named(tmp_path, ray_cluster):
    from lukasa.launch.ray.session import check_visible

    with pytest.raises(UserError, match=f"does not see {tmp_path}: give an --out on storage that all"):
        check_visible(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    check_visible(tmp_path)


@pytest.mark.slow
def test_questions_are_shared_by_workers(tmp_path, ray_cluster):
    words = "--data babi_made --dataset.stories 20 --sentences 20 --tasks 1,6 --apart --report-every 64 --batch-size 16"
    shared, single = (Run(tmp_path / name, "questions") for name in ("shared", "single"))
    for run, more in ((shared, ["--ray", "--workers", "2"]), (single, [])):
        assert main(["train", "questions", *words.split(), "--steps", "192", "--out", str(run.path), *more]) == 0
    losses = [[row["loss"] for row in read_metrics(run)] for run in (shared, single)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@pytest.mark.slow
def test_sets_of_points_are_shared_by_workers(tmp_path, ray_cluster):
    words = "--points 4-7 --options.size 8 --report-every 64 --batch-size 16 --steps 192"
    shared, single = (Run(tmp_path / name, "sets") for name in ("shared", "single"))
    for run, more in ((shared, ["--ray", "--workers", "2"]), (single, [])):
        assert main(["train", "pointers", *words.split(), "--out", str(run.path), *more]) == 0
    losses = [[row["loss"] for row in read_metrics(run)] for run in (shared, single)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-2)


@pytest.mark.slow
def test_traces_are_shared_by_workers(tmp_path, ray_cluster):
    words = "--tasks addition --base 3 --longest 3 --size 8 --balance steps --report-every 64 --batch-size 16"
    shared, single = (Run(tmp_path / name, "traces") for name in ("shared", "single"))
    for run, more in ((shared, ["--ray", "--workers", "2"]), (single, [])):
        assert main(["train", "programs", *words.split(), "--steps", "192", "--out", str(run.path), *more]) == 0
    losses = [[row["loss"] for row in read_metrics(run)] for run in (shared, single)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
