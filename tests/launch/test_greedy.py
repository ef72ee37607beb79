"""Agents that need their draws say so, and the defaults of an algorithm are its own."""

import doctest

import pytest

from lukasa.launch.kinds.rl import greedy, options
from lukasa.launch.kinds.rl.greedy import note_on_greedy
from lukasa.launch.training.requests import read_command_line


@pytest.mark.parametrize("module", [greedy, options])
def test_examples(module):
    assert doctest.testmod(module).failed == 0


def row(step=100, **told):
    return {"env_steps": step, "episodes": 500, "return_mean": 0.9, "return_std": 0.1, **told}


@pytest.mark.parametrize(
    ("rows", "played", "noted"),
    [
        ([row(success_rate=0.99)], {"success_rate": 0.5, "success_interval": (0.4, 0.6)}, True),
        ([row(success_rate=0.99)], {"success_rate": 0.97, "success_interval": (0.92, 0.99)}, False),
        ([row(success_rate=0.99, episodes=4)], {"success_rate": 0.5, "success_interval": (0.4, 0.6)}, False),
        ([row()], {"return_mean": 0.2, "return_interval": (0.1, 0.3)}, True),
        ([row()], {"return_mean": 0.95, "return_interval": (0.9, 1.0)}, False),
        ([row(return_std=0.0)], {"return_mean": 0.2, "return_interval": (0.1, 0.3)}, True),
        ([row(return_std=None)], {"return_mean": 0.2, "return_interval": (0.1, 0.3)}, False),
        ([row(return_mean=None)], {"return_mean": 0.2, "return_interval": (0.1, 0.3)}, False),
        ([row(step=50)], {"return_mean": 0.2, "return_interval": (0.1, 0.3)}, False),
        ([], {"return_mean": 0.2, "return_interval": (0.1, 0.3)}, False),
    ],
)
def test_likeliest_actions_that_do_clearly_worse_are_noted(rows, played, noted):
    found = note_on_greedy(rows, 100, played)
    assert (found is not None) == noted
    assert not noted or "--explore" in found


def test_defaults_suit_the_algorithm_and_give_way_to_what_is_said():
    def clip(*words):
        return read_command_line("rl", words).experiment.clip_norm

    assert clip() == clip("--algorithm", "appo") == 0.5
    assert clip("--algorithm", "dqn") == clip("--algorithm=dqn") == 10.0
    assert clip("--algorithm", "dqn", "--clip-norm", "0.5") == 0.5
    assert clip("--algorithm", "dqn", "--clip-norm", "none") is None
    assert clip("repeat_previous_gru", "--algorithm", "dqn") is None  # a recipe's own
    assert clip("cart_pole_dqn", "--algorithm", "dqn") == 10.0


def test_a_run_goes_on_with_what_it_was_begun_with(tmp_path):
    from dataclasses import asdict, replace

    from lukasa.launch.kinds.rl.experiment import RLExperiment
    from lukasa.launch.runs.directory import create_run, describe_run

    asked = replace(RLExperiment(), algorithm="dqn", core="gru")
    create_run(tmp_path / "run", describe_run("rl", None, asdict(asked), "env_steps"))
    again = read_command_line("rl", ["--out", str(tmp_path / "run"), "--resume", "--algorithm", "dqn"])
    assert again.experiment.clip_norm == 0.5
