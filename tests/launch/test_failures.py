"""After any failure a run can go on, or leaves no directory behind; the user reads one sentence."""

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lukasa.agents.rllib import algorithm_class
from lukasa.launch.cli import main
from lukasa.launch.kinds.rl import job as rl
from lukasa.launch.kinds.rl.waits import watched
from lukasa.launch.runs import checkpoints
from lukasa.launch.runs.checkpoints import list_checkpoints
from lukasa.launch.runs.directory import Run, read_metrics

pytestmark = pytest.mark.ray

SMALL = (
    "--env tests.launch.failing_environments:Failing-v0 --core gru --memory.size 4 --embedding 4 --output 4 "
    "--envs-per-runner 2 --batch-size 80 --max-seq-len 40 --checkpoint-every 1000 --ablation 0"
)
OWN = {"ppo": "--epochs 1 --minibatch-size 80", "appo": "--algorithm appo", "impala": "--algorithm impala"}


def train(run: Run, *options: str) -> int:
    return main(["train", "rl", "--out", str(run.path), *options])


def failing(how: str, after: int = 0, algorithm: str = "ppo", **more: str) -> list[str]:
    settings = ["how", how, "after", str(after), *(word for pair in more.items() for word in pair)]
    return [*SMALL.split(), *OWN[algorithm].split(), "--env-settings", *settings]


def told(capsys) -> str:
    """The one sentence for the user, which is no traceback."""
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    said = [line for line in captured.err.splitlines() if line.startswith("lukasa: ")]
    assert len(said) == 1
    return said[0]


def trace(sentence: str) -> str:
    """What the file holds that a sentence names."""
    found = re.search(r"\(traceback: (.+)\)$", sentence)
    assert found
    return Path(found[1]).read_text()


@pytest.mark.parametrize("runners", ["0", "1"])
@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("reset", "failed in reset: ValueError: the simulator did not start (failing_environments.py, line"),
        ("step", "failed in step: RuntimeError: joint limit exceeded (failing_environments.py, line"),
    ],
)
def test_environment_that_fails_at_once_is_named_and_leaves_no_directory(
    tmp_path, ray_cluster, capsys, how, said, runners
):
    run = Run(tmp_path / "run")
    assert train(run, *failing(how), "--steps", "1000", "--runners", runners) == 1
    sentence = told(capsys)
    assert said in sentence
    assert "no run directory is left" in sentence
    assert "Error: " in trace(sentence)
    assert not run.path.exists()


@pytest.mark.parametrize(
    ("algorithm", "runners"),
    [
        ("ppo", "0"),
        pytest.param("ppo", "2", marks=pytest.mark.slow),
        pytest.param("appo", "1", marks=pytest.mark.slow),
    ],
)
def test_environment_that_fails_later_leaves_a_run_with_its_last_state_that_can_go_on(
    tmp_path, ray_cluster, capsys, algorithm, runners
):
    run = Run(tmp_path / "run")
    # Each copy fails at its 150th step and again, made anew, at the next 150th.
    assert train(run, *failing("step", 150, algorithm), "--steps", "100000", "--runners", runners) == 1
    sentence = told(capsys)
    assert "joint limit exceeded" in sentence
    saved = list_checkpoints(run.checkpoints)[-1]
    assert f"the last good checkpoint is {saved.path}" in sentence
    assert saved.step == read_metrics(run)[-1]["env_steps"] > 0
    assert "joint limit exceeded" in trace(sentence)
    more = str(saved.step + 80)
    assert main(["train", "rl", "--out", str(run.path), "--resume", "--steps", more]) == 0


@pytest.mark.slow
def test_environment_that_fails_once_is_made_anew(tmp_path, ray_cluster, capsys):
    run = Run(tmp_path / "run")
    options = failing("once", 50, mark=str(tmp_path / "mark"))
    assert train(run, *options, "--steps", "320", "--runners", "1") == 0
    assert (tmp_path / "mark").exists()


def test_constructor_that_fails_is_misuse_here_and_a_failure_in_a_runner(tmp_path, ray_cluster, capsys):
    run = Run(tmp_path / "run")
    assert train(run, *failing("constructor"), "--steps", "100") == 2
    assert "no licence for the simulator" in told(capsys)
    assert not run.path.exists()
    assert train(run, *failing("remote"), "--steps", "100", "--runners", "1") == 1
    assert "failed in its constructor: ValueError: no licence for the simulator" in told(capsys)
    assert not run.path.exists()


def test_environment_that_fails_in_close_has_done_its_work(tmp_path, ray_cluster, capsys):
    run = Run(tmp_path / "run")
    assert train(run, *failing("close"), "--steps", "80") == 0
    assert "Traceback" not in capsys.readouterr().err
    assert main(["eval", str(run.path), "--episodes", "2"]) == 0


@pytest.mark.parametrize("runners", ["0", pytest.param("1", marks=pytest.mark.slow)])
@pytest.mark.parametrize("what", ["reward", "observation"])
def test_what_is_no_number_is_named_before_it_is_learned(tmp_path, ray_cluster, capsys, what, runners):
    run = Run(tmp_path / "run")
    assert train(run, *failing(f"nan_{what}", 100), "--steps", "10000", "--runners", runners) == 1
    sentence = told(capsys)
    assert f"gave a {what} that is no finite number (nan) in step" in sentence
    assert list_checkpoints(run.checkpoints)[-1].step == read_metrics(run)[-1]["env_steps"]


def test_weights_that_diverge_are_named_and_the_last_good_checkpoint_stays(tmp_path, ray_cluster, capsys, monkeypatch):
    run = Run(tmp_path / "run")
    present, calls = rl.present_weights, []

    def weights(algorithm):
        calls.append(1)
        found = present(algorithm)
        if len(calls) > 3:
            found["policy_head.bias"] = np.full_like(found["policy_head.bias"], math.nan)
        return found

    monkeypatch.setattr(rl, "present_weights", weights)
    assert train(run, *failing(""), "--steps", "1000") == 1
    sentence = told(capsys)
    assert (
        "a weight is not finite in the iteration after 160 environment steps, in parameter group policy_head"
        in sentence
    )
    assert f"the last good checkpoint is {run.checkpoints / 'step-000000000080'}" in sentence


@pytest.mark.parametrize("algorithm", ["ppo", pytest.param("impala", marks=pytest.mark.slow)])
def test_gradient_that_is_not_finite_stops_a_run_instead_of_counting_as_zero(
    tmp_path, ray_cluster, capsys, monkeypatch, algorithm
):
    run = Run(tmp_path / "run")
    config = algorithm_class(algorithm)()
    learner: Any = watched(config.get_default_learner_class(), asynchronous=config.asynchronous)
    calls = []
    own = learner.compute_loss_for_module

    def loss(self, **given):
        calls.append(1)
        return own(self, **given) * (math.nan if len(calls) > 3 else 1)

    monkeypatch.setattr(learner, "compute_loss_for_module", loss)
    assert train(run, *failing("", algorithm=algorithm), "--steps", "4000") == 1
    sentence = told(capsys)
    assert re.search(r"a gradient is not finite in the iteration after \d+ environment steps, in parameter", sentence)
    assert "encoder.vectors, core.controller" in sentence
    assert algorithm == "impala" or list_checkpoints(run.checkpoints)  # whose first iteration has many batches


def test_memory_that_does_not_suffice_and_a_full_disk_get_a_sentence(tmp_path, ray_cluster, capsys, monkeypatch):
    run = Run(tmp_path / "run")
    assert train(run, *failing("memory"), "--steps", "1000") == 1
    assert "MemoryError: cannot allocate 9 GiB" in told(capsys)
    assert not run.path.exists()

    written = checkpoints._write

    def write(folder, state, files, manifest):
        if manifest["step"] > 100:
            raise OSError(28, "No space left on device")
        written(folder, state, files, manifest)

    monkeypatch.setattr(checkpoints, "_write", write)
    assert train(run, *failing(""), "--steps", "240") == 1
    sentence = told(capsys)
    assert "cannot be written: No space left on device" in sentence
    assert f"the last good checkpoint is {run.checkpoints / 'step-000000000080'}" in sentence
    assert [path.name for path in run.checkpoints.iterdir()] == ["step-000000000080"]
