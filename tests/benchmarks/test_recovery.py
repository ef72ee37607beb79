"""Training on two machines, one of which is lost: whole runs, as `lukasa train ... --ray --address` starts them."""

import pytest

from lukasa.benchmarks.machines import two_machines
from lukasa.benchmarks.recovery import LOSSES, STEPS, measure
from lukasa.launch.cli import main
from lukasa.launch.runs.checkpoints import list_checkpoints
from lukasa.launch.runs.directory import Run, read_metrics

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def machines():
    with two_machines() as machines:
        yield machines


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("name", "said"),
    [
        pytest.param("machine-rl", "lost a runner: 1 left, and training goes on", marks=pytest.mark.slow),
        pytest.param("machine-task", "a worker was lost: all workers go on from", marks=pytest.mark.slow),
        pytest.param("machine-few-shot", "a worker was lost: all workers go on from", marks=pytest.mark.slow),
        pytest.param("worker", "a worker was lost: all workers go on from", marks=pytest.mark.slow),
        pytest.param("runner", "lost a runner: 1 left, and training goes on", marks=pytest.mark.slow),
    ],
)
def test_run_outlives_a_loss_and_is_resumed_without_the_cluster(machines, tmp_path, name, said):
    row = measure(name, machines, tmp_path, before=3)
    assert said in row.said
    assert 0 < row.went_on_from <= row.told_before
    assert 0 < row.next_line <= row.beyond
    kind = LOSSES[name].training.split()[0]
    run = Run(tmp_path / name, STEPS[kind])
    left = list_checkpoints(run.checkpoints)[-1].step
    further = left + (900 if kind == "rl" else 320)
    assert main(["train", kind, "--out", str(run.path), "--resume", "--steps", str(further)]) == 0
    assert list_checkpoints(run.checkpoints)[-1].step >= further
    rows = [row[run.step_key] for row in read_metrics(run)]
    assert rows == sorted(set(rows))
