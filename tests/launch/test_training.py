"""Whole runs through the command line, on an environment and a core that are as small as they get."""

import contextlib
import io
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import Any

import matplotlib.image
import numpy as np
import pytest
import torch

from lukasa.launch.cli import main
from lukasa.launch.runs.checkpoints import list_checkpoints, load_checkpoint, save_checkpoint
from lukasa.launch.runs.directory import Run, open_run, read_metrics

pytestmark = pytest.mark.ray

SMALL = "--env RepeatPrevious-k1-v0 --core ntm --memory.slots 4 --memory.word-size 3 --memory.controller-size 8"
QUICK = "--envs-per-runner 4 --batch-size 128 --minibatch-size 64 --epochs 1 --checkpoint-every 0"
OPTIONS = [*SMALL.split(), *QUICK.split()]


def start(run: Run, *argv: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "lukasa.launch", "train", "rl", "--out", str(run.path), *argv]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, start_new_session=True)


def wait_for_rows(process: subprocess.Popen[str], run: Run, count: int) -> None:
    """Until the run has measured some iterations; fails with its words when it ends before."""
    end = time.monotonic() + 240  # native code may have to be compiled first
    while len(read_metrics(run)) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "the run takes too long"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A run that was killed while it trained, and what a second process was told meanwhile."""
    run = Run(tmp_path_factory.mktemp("runs") / "killed")
    process = start(run, *OPTIONS, "--steps", "1000000")
    wait_for_rows(process, run, 6)
    told = io.StringIO()
    with contextlib.redirect_stderr(told):
        code = main(["train", "rl", "--out", str(run.path), "--resume"])
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    return run, code, told.getvalue()


@pytest.fixture(scope="module")
def resumed(killed):
    """The same run, resumed and then stopped by ctrl-C."""
    killed_run, *_ = killed
    run = Run(killed_run.path.with_name("resumed"))
    shutil.copytree(killed_run.path, run.path)
    before = list_checkpoints(run.checkpoints)[-1].step
    process = start(run, "--resume", "--checkpoint-every", "1000")  # so that only ctrl-C saves
    wait_for_rows(process, run, len(read_metrics(killed_run)) + 3)
    os.killpg(process.pid, signal.SIGINT)
    out, told = process.communicate(timeout=100)
    return run, before, process.returncode, out + told


def test_second_process_is_refused_while_a_run_trains(killed):
    _, code, told = killed
    assert code == 2
    assert "is in use by process" in told


def test_killed_run_has_whole_checkpoints(killed):
    run, *_ = killed
    for checkpoint in list_checkpoints(run.checkpoints):
        assert load_checkpoint(checkpoint)["algorithm"]["training_iteration"] == checkpoint.step // 128


def test_resumed_run_counts_on_from_its_checkpoint(killed, resumed):
    run, before, *_ = resumed
    rows = read_metrics(run)
    assert [row["env_steps"] for row in rows] == [128 * (number + 1) for number in range(len(rows))]
    assert [row["iteration"] for row in rows] == [number + 1 for number in range(len(rows))]
    seconds = [row["seconds"] for row in rows]
    assert seconds == sorted(seconds)
    assert rows[: before // 128] == read_metrics(killed[0])[: before // 128]
    first_new = rows[before // 128]
    assert first_new["episodes"] >= rows[before // 128 - 1]["episodes"]
    assert first_new["kl_coefficient"] < 0.2  # the initial one; tiny updates have halved it by then


def test_ctrl_c_saves_and_tells_how_to_resume(resumed):
    run, _, code, told = resumed
    assert code == 128 + signal.SIGINT
    assert f"-m lukasa.launch train rl --out {run.path} --resume" in told
    assert "Traceback" not in told
    assert list_checkpoints(run.checkpoints)[-1].step == read_metrics(run)[-1]["env_steps"]


def test_screen_stays_free_of_library_noise(resumed):
    noise = [
        line for line in resumed[3].splitlines() if "WARNING" in line or "Deprecat" in line or "core_worker" in line
    ]
    assert noise == []


def test_metrics_have_what_plots_and_people_need(resumed):
    row = read_metrics(resumed[0])[-1]
    expected = {"env_steps", "return_mean", "return_std", "episodes", "episode_length", "steps_per_second", "seconds"}
    assert expected | {"loss", "policy_loss", "value_loss", "entropy", "kl"} <= set(row)
    assert row["episode_length"] == 49  # whole episodes, though a fragment has 32 steps
    assert -1 <= row["return_mean"] <= 1
    assert row["return_std"] > 0


def test_run_directory_is_complete(resumed):
    run = resumed[0]
    assert any(run.events.iterdir())
    assert json.loads(run.config_file.read_text())["experiment"]["memory"]["slots"] == 4
    assert not [path for path in run.path.rglob("*") if path.suffix in (".pkl", ".pickle")]


def test_cut_short_checkpoint_is_refused_and_the_one_before_suggested(resumed, tmp_path, capsys):
    run = Run(tmp_path / "run")
    shutil.copytree(resumed[0].path, run.path)
    before_last, last = list_checkpoints(run.checkpoints)[-2:]
    (last.path / "state.pt").write_bytes(b"short")
    metrics = run.metrics_file.read_text()
    assert main(["train", "rl", "--out", str(run.path), "--resume"]) == 2
    told = capsys.readouterr().err
    assert f"{last.name} is cut short: state.pt has 5 of" in told
    assert f"--resume --checkpoint {before_last.name}" in told
    assert main(["eval", str(run.path), "--checkpoint", "last"]) == 2
    assert f"{last.name} is cut short" in capsys.readouterr().err
    assert run.metrics_file.read_text() == metrics


@pytest.mark.slow
def test_resuming_from_an_earlier_checkpoint_finishes_the_steps(resumed, tmp_path, ray_cluster, capsys):
    run = Run(tmp_path / "run")
    shutil.copytree(resumed[0].path, run.path)
    earlier = list_checkpoints(run.checkpoints)[-2]
    steps = earlier.step + 200
    argv = ["--resume", "--checkpoint", earlier.name, "--steps", str(steps)]
    assert main(["train", "rl", "--out", str(run.path), *argv]) == 0
    assert "mean return" in capsys.readouterr().out
    assert [row["env_steps"] for row in read_metrics(run)][-2:] == [earlier.step + 128, earlier.step + 256]
    assert list_checkpoints(run.checkpoints)[-1].step == earlier.step + 256


@pytest.mark.slow
def test_stop_at_ends_a_run_before_its_steps(tmp_path, ray_cluster, capsys):
    run = Run(tmp_path / "run")
    argv = [*OPTIONS, "--steps", "1000000", "--stop-at", "-1.0"]
    assert main(["train", "rl", "--out", str(run.path), *argv]) == 0
    assert read_metrics(run)[-1]["return_mean"] >= -1
    assert len(read_metrics(run)) < 10


@pytest.mark.slow
def test_success_rate_is_measured_where_the_environment_has_one(tmp_path, ray_cluster, capsys):
    run = Run(tmp_path / "run")
    argv = ["--env", "TMaze-L10-v0", *OPTIONS[2:], "--steps", "1000"]
    assert main(["train", "rl", "--out", str(run.path), *argv]) == 0
    assert 0 <= read_metrics(run)[-1]["success_rate"] <= 1
    assert "mean success rate" in capsys.readouterr().out


def test_eval_reports_the_return_with_its_confidence(resumed, capsys):
    run = resumed[0]
    assert main(["eval", str(run.path), "--episodes", "6", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    low, high = result["return_interval"]
    assert low <= result["return_mean"] <= high
    assert (result["episodes"], result["chance"], result["best"]) == (6, -0.5, 1.0)
    assert main(["eval", str(run.path), "--episodes", "6"]) == 0
    assert f"mean return   {result['return_mean']:.3f}" in capsys.readouterr().out


def test_eval_plays_in_the_environment_with_other_settings(resumed, capsys):
    path = str(resumed[0].path)
    assert main(["eval", path, "--episodes", "2", "--env-settings", "length", "9", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["length_mean"], result["env_settings"]) == (9, {"length": 9})
    assert main(["eval", path, "--episodes", "2", "--env-settings", "length", "9"]) == 0
    assert "2 episodes, length 9" in capsys.readouterr().out
    assert json.loads((resumed[0].path / "config.json").read_text())["experiment"]["env_settings"] == {}


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("symbols 5", "then has the observation space Discrete(5), and the agent was trained on Discrete(4): give"),
        ("lengths 9", "environment 'RepeatPrevious-k1-v0' has no setting 'lengths': did you mean 'length'?"),
        ("length 0", "RepeatPrevious: length is 0, expected a whole number of at least"),
    ],
)
@pytest.mark.parametrize("command", ["eval", "plot"])
def test_settings_that_the_agent_cannot_play_with_are_refused(resumed, capsys, command, settings, told):
    assert main([command, str(resumed[0].path), "--env-settings", *settings.split()]) == 2
    assert told in capsys.readouterr().err


def test_eval_ablates_the_agent(resumed, capsys):
    path = str(resumed[0].path)
    assert main(["eval", path, "--episodes", "6", "--ablation", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert [row["without"] for row in result["ablation"]] == [None, "memory", "controller", "both"]
    assert result["return_mean"] == result["ablation"][0]["return_mean"]
    for row in (*result["ablation"], result["random_actions"]):
        low, high = row["return_interval"]
        assert low <= row["return_mean"] <= high
        assert row["episodes"] == 6
    assert main(["eval", path, "--episodes", "6", "--without", "memory", "--json"]) == 0
    alone = json.loads(capsys.readouterr().out)
    assert alone.items() >= result["ablation"][1].items()
    assert main(["eval", path, "--episodes", "6", "--ablation"]) == 0
    shown = capsys.readouterr().out.splitlines()
    named = [line.split("  ")[0] for line in shown[1:7]]
    assert named == ["wiped before every step", "nothing", "memory", "controller", "both", "(random actions)"]
    assert main(["eval", path, "--episodes", "6", "--without", "memory"]) == 0
    assert "memory wiped before every step" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["--without", "memory", "--ablation"], "--ablation wipes each part in turn: leave --without memory out"),
        (["--without", "hands"], "'hands'"),
    ],
)
def test_eval_refuses_to_wipe_what_is_not_there(resumed, capsys, argv, told):
    assert main(["eval", str(resumed[0].path), *argv]) == 2
    assert told in capsys.readouterr().err


def test_training_ends_with_what_the_memory_is_for(tmp_path, ray_cluster, capsys):
    options = [*OPTIONS, "--steps", "400"]
    assert main(["train", "rl", *options, "--ablation", "3", "--out", str(tmp_path / "with")]) == 0
    shown = capsys.readouterr().out
    assert "3 episodes" in shown
    assert [line.split()[0] for line in shown.splitlines()[3:7]] == ["nothing", "memory", "controller", "both"]
    assert main(["train", "rl", *options, "--ablation", "0", "--out", str(tmp_path / "out")]) == 0
    assert "wiped" not in capsys.readouterr().out
    nothing = ["--core", "feedforward", *QUICK.split(), "--steps", "400", "--env", "RepeatPrevious-k1-v0"]
    assert main(["train", "rl", *nothing, "--out", str(tmp_path / "nothing")]) == 0
    assert "core feedforward carries nothing from one step to the next" in capsys.readouterr().out


def test_wiped_agent_that_never_ends_is_cut_off(monkeypatch):
    from lukasa.launch.kinds.rl import agent_episodes
    from lukasa.launch.kinds.rl.experiment import RLExperiment

    monkeypatch.setattr(agent_episodes, "LIMIT", 30)
    how = agent_episodes.Play(episodes=2, seed=0, limit=agent_episodes.LIMIT)
    endless = RLExperiment(env="Pendulum-v1", envs_per_runner=2)  # ends after 200 steps
    assert agent_episodes.play_at_random(endless, how)["length_longest"] == 30


def test_plot_draws_the_curve_and_an_episode(resumed, capsys):
    run = resumed[0]
    assert main(["plot", str(run.path)]) == 0
    assert capsys.readouterr().out.split() == [str(run.plots / "learning.png"), str(run.plots / "episode.png")]
    for name in ("learning.png", "episode.png"):
        assert matplotlib.image.imread(run.plots / name).std() > 0.05


def test_learner_lost_while_a_checkpoint_is_taken_is_no_part_of_it():
    from ray.exceptions import ActorDiedError
    from ray.rllib.utils.actor_manager import ResultOrError

    from lukasa.launch.kinds.rl.algorithms import capture_state

    answers = [ResultOrError(error=ActorDiedError())]
    group = SimpleNamespace(foreach_learner=lambda function: answers)
    algorithm: Any = SimpleNamespace(learner_group=group, get_state=dict)
    with pytest.raises(ActorDiedError):  # which train() takes for a lost process
        capture_state(algorithm, [], played={})


def test_agent_of_a_checkpoint_is_the_one_that_earned_its_score(tmp_path, ray_cluster):
    from lukasa.launch.kinds.rl.evaluation import load_agent
    from lukasa.launch.kinds.rl.options import RL

    run = Run(tmp_path / "run")
    assert (
        main(["train", "rl", *OPTIONS, "--steps", "300", "--lr", "0.01", "--ablation", "0", "--out", str(run.path)])
        == 0
    )
    before, last = list_checkpoints(run.checkpoints)[-2:]
    learned = [
        load_checkpoint(one)["algorithm"]["learner_group"]["learner"]["rl_module"]["default_policy"]
        for one in (before, last)
    ]
    _, config = open_run(run.path)
    agent = load_agent(run, RL.from_json(config["experiment"]), "last")
    # The episodes of the last line of metrics were played before the last update.
    assert_same(agent.module.get_state(), learned[0])
    assert any((learned[0][name] != learned[1][name]).any() for name in learned[0])


@pytest.mark.parametrize(("told", "clip"), [([], math.inf), (["--value-clip", "10"], 10.0)])
def test_value_loss_is_clipped_only_when_told(told: list[str], clip: float):
    """RLlib's own default of 10 keeps values from learning returns beyond 3: the clamp has no gradient there."""
    from lukasa.launch.kinds.rl.algorithms import make_config
    from lukasa.launch.training.requests import read_command_line

    config: Any = make_config(read_command_line("rl", [*OPTIONS, *told]).experiment)
    assert config.vf_clip_param == clip


def test_restored_algorithm_equals_the_saved_one(tmp_path, ray_cluster):
    from lukasa.launch.kinds.rl.algorithms import capture_state, make_config, restore_state
    from lukasa.launch.ray.quiet import quiet_libraries
    from lukasa.launch.training.requests import read_command_line

    experiment = read_command_line("rl", OPTIONS).experiment
    with quiet_libraries():
        first = make_config(experiment).build_algo()
        first.train()
        first.train()
        state = load_checkpoint(save_checkpoint(tmp_path, 256, capture_state(first, [(1.0, 2.0, 3.0)]), None))
        drawn = torch.rand(3), np.random.rand(3)
        first.stop()
        second = make_config(experiment, sitting=7).build_algo()
        restore_state(second, state)
        assert torch.equal(torch.rand(3), drawn[0])
        assert np.array_equal(np.random.rand(3), drawn[1])
        again = capture_state(second, state["recent"])
        assert again["kl"] == state["kl"]
        assert state["kl"]["default_policy"] < 0.2
        assert state["recent"] == [(1.0, 2.0, 3.0)]
        saved, restored = (one["algorithm"]["learner_group"]["learner"] for one in (state, again))
        assert_same(saved["rl_module"], restored["rl_module"])
        assert_same(saved["optimizer"], restored["optimizer"])
        result = second.train()
        second.stop()
    assert result["training_iteration"] == 3
    assert result["num_env_steps_sampled_lifetime"] == 384


def assert_same(one, other):
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same(one[key], other[key])
    else:
        np.testing.assert_array_equal(one, other)
