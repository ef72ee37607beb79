"""Schedules of the learning rate and the entropy bonus, and normalised agents, through the command line."""

import json
from typing import Any

import numpy as np
import pytest

from lukasa.launch.cli import main
from lukasa.launch.kinds.rl.options import RL
from lukasa.launch.runs.checkpoints import list_checkpoints, load_checkpoint
from lukasa.launch.runs.directory import Run, open_run, read_metrics
from lukasa.launch.training.requests import read_command_line

WORDS = "--env CartPole-v1 --core feedforward --envs-per-runner 4 --batch-size 128 --minibatch-size 64 --epochs 1"
OPTIONS = WORDS.split()


def config_of(*argv: str) -> Any:
    from lukasa.launch.kinds.rl.algorithms import make_config

    return make_config(read_command_line("rl", [*OPTIONS, *argv]).experiment)


def test_numbers_without_an_end_stay():
    config = config_of("--lr", "0.01")
    assert (config.lr, config.entropy_coeff) == (0.01, 0.0)


def test_schedules_end_with_the_last_step():
    config = config_of(
        "--lr", "0.01", "--schedule", "linear", "--entropy", "0.1", "--entropy-end", "0.02", "--steps", "5000"
    )
    assert config.lr == [[0, 0.01], [5000, 0.0]]
    assert config.entropy_coeff == [[0, 0.1], [5000, 0.02]]


def test_every_schedule_of_the_other_kinds_is_drawn_by_points():
    cosine = config_of("--lr", "0.01", "--schedule", "cosine", "--final-lr", "0.5", "--steps", "1000").lr
    assert cosine[0] == [0, 0.01]
    assert cosine[50] == [500, pytest.approx(0.0075)]
    assert cosine[-1] == [1000, pytest.approx(0.005)]
    halving = dict(config_of("--lr", "0.01", "--schedule", "halving", "--halve-every", "400", "--steps", "1000").lr)
    assert [halving[step] for step in (0, 390, 400, 1000)] == pytest.approx([0.01, 0.01, 0.005, 0.0025])
    rising = dict(config_of("--lr", "0.01", "--warmup", "99", "--steps", "1000").lr)
    assert [rising[step] for step in (0, 100, 1000)] == pytest.approx([0.0001, 0.01, 0.01])


@pytest.mark.parametrize(
    ("words", "today"),
    [
        ("train rl --grad-clip 3", "option --grad-clip has another name now: --clip-norm"),
        ("train rl --lr-end=0", "option --lr-end has another name now: --schedule linear --final-lr SHARE"),
        ("tune rl repeat_previous_gru --grid lr_end=0,1", "option --lr-end has another name now"),
    ],
)
def test_an_option_that_was_renamed_is_refused_with_its_name_of_today(words, today, capsys):
    # The nearest names of today, --clip and --entropy-end, mean something else.
    assert main(words.split()) == 2
    assert today in capsys.readouterr().err


def test_a_setting_of_an_environment_may_have_a_name_that_an_option_had():
    words = [*OPTIONS, "--env-settings", "grad_clip", "3"]
    assert read_command_line("rl", words).experiment.env_settings == {"grad_clip": 3}


def test_policy_learns_beside_the_value_without_a_bonus_for_entropy():
    config = config_of()
    assert (config.entropy_coeff, config.vf_loss_coeff, config.kl_target) == (0.0, 0.25, 0.03)
    assert config_of("--kl-target", "0.01").kl_target == 0.01


def test_config_in_python_starts_from_the_same_numbers():
    from lukasa.agents.rllib.config import PPO_DEFAULTS

    config = config_of()
    names = {"lambda_", "lr", "gamma", "entropy_coeff", "vf_loss_coeff", "kl_target", "clip_param", "grad_clip"}
    wanted = read_command_line("rl", WORDS.split()[:4]).experiment
    assert {name: PPO_DEFAULTS[name] for name in names} == {name: getattr(config, name) for name in names}
    assert (PPO_DEFAULTS["num_epochs"], PPO_DEFAULTS["minibatch_size"]) == (wanted.epochs, wanted.minibatch_size)


@pytest.mark.parametrize("option", ["--final-lr", "--entropy-end"])
def test_end_below_zero_is_refused(option, capsys):
    assert main(["train", "rl", *OPTIONS, option, "-1"]) == 2
    assert f"option {option} is -1.0: expected at least 0" in capsys.readouterr().err


def rates(run: Run) -> tuple[float, float]:
    """The learning rate and the weight of the entropy of the last checkpoint, and what a resumed algorithm has."""
    from lukasa.launch.kinds.rl.algorithms import make_config, restore_state
    from lukasa.launch.ray.quiet import quiet_libraries

    state = load_checkpoint(list_checkpoints(run.checkpoints)[-1])
    _, config = open_run(run.path)
    with quiet_libraries():
        algorithm: Any = make_config(RL.from_json(config["experiment"])).build_algo()
        try:
            restore_state(algorithm, state)
            learner = algorithm.learner_group._learner
            entropy = learner.entropy_coeff_schedulers_per_module["default_policy"].get_current_value()
            return learner._get_optimizer_lr(learner.get_optimizer()), float(entropy)
        finally:
            algorithm.stop()


@pytest.mark.ray
def test_schedules_go_on_where_they_were(tmp_path, ray_cluster):
    run = Run(tmp_path / "run")
    argv = ["--lr", "0.01", "--schedule", "linear", "--final-lr", "0.1", "--entropy", "0.1", "--entropy-end", "0"]
    assert main(["train", "rl", *OPTIONS, *argv, "--steps", "1000", "--stop-at", "1", "--out", str(run.path)]) == 0
    step = read_metrics(run)[-1]["env_steps"]
    assert step < 1000
    lr, entropy = rates(run)
    assert lr == pytest.approx(0.01 - 0.009 * step / 1000, rel=1e-3)
    assert entropy == pytest.approx(0.1 * (1 - step / 1000), rel=1e-3)


@pytest.mark.ray
def test_agent_is_evaluated_with_the_scales_it_played_with(tmp_path, ray_cluster, capsys):
    from lukasa.agents.rllib import MemoryRLModule
    from lukasa.launch.kinds.rl.evaluation import load_agent

    run = Run(tmp_path / "run")
    assert main(["train", "rl", *OPTIONS, "--steps", "500", "--out", str(run.path)]) == 0
    _, config = open_run(run.path)
    module = load_agent(run, RL.from_json(config["experiment"]), "last").module
    assert isinstance(module, MemoryRLModule)
    played = load_checkpoint(list_checkpoints(run.checkpoints)[-1])["played"]
    assert played["net.normalizer.moments.0.count"] > 0
    for name, value in module.get_state().items():
        np.testing.assert_array_equal(value, played[name])
    capsys.readouterr()
    assert main(["eval", str(run.path), "--episodes", "3", "--json"]) == 0
    before = json.loads(capsys.readouterr().out)["return_mean"]
    assert main(["eval", str(run.path), "--episodes", "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["return_mean"] == before


@pytest.mark.ray
def test_run_without_the_fields_resumes_and_evaluates(tmp_path, ray_cluster):
    run = Run(tmp_path / "run")
    plain = ["--no-normalize-observations", "--no-normalize-returns"]
    assert main(["train", "rl", *OPTIONS, *plain, "--steps", "300", "--out", str(run.path)]) == 0
    config = json.loads(run.config_file.read_text())
    for name in ("normalize_observations", "normalize_returns", "schedule", "final_lr", "entropy_end"):
        del config["experiment"][name]  # as it was written before they were added
    run.config_file.write_text(json.dumps(config))
    assert main(["train", "rl", "--out", str(run.path), "--resume", "--steps", "600"]) == 0
    state = load_checkpoint(list_checkpoints(run.checkpoints)[-1])["played"]
    assert not any("normalizer" in name or "return_scale" in name for name in state)
    assert main(["eval", str(run.path), "--episodes", "2"]) == 0
