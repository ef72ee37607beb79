import math
from dataclasses import replace

import pytest

from lukasa.launch.kinds.rl.advice import FAIR_STEPS, WINDOW, Watch
from lukasa.launch.kinds.rl.experiment import RLExperiment
from lukasa.launch.kinds.rl.job import train
from lukasa.launch.kinds.rl.recipes import _tuned
from lukasa.launch.runs.directory import create_run, describe_run, read_metrics

HEALTHY = {"value_explained": 0.6, "entropy": 0.5, "kl": 0.01, "gradient_norm": 0.8, "return_std": 10.0}
EXPERIMENT = RLExperiment(steps=1_000_000)


def rows(count=400, rising=0.0, **of_late):
    for number in range(count):
        first = {"entropy": 0.69} if not number else {}
        yield {"env_steps": 1_000 * (number + 1), "return_mean": 20.0 + rising * number} | HEALTHY | of_late | first


def causes(experiment, lines):
    watch = Watch(experiment)
    return [name for line in lines for name in watch.look(line).get("not_learning", "").split(", ") if name]


@pytest.mark.parametrize(
    ("of_late", "cause", "option"),
    [
        ({"gradient_norm": 0.0}, "gradients", "--normalize-observations"),
        ({"kl": 1e-9}, "kl", "--lr 0.01"),
        ({"gradient_norm": 500.0}, "clipping", "--normalize-returns"),
        ({"entropy": 0.69}, "entropy", "--lr"),
        ({"value_explained": 0.001}, "value", "--normalize-returns"),
        ({"value_explained": -0.3}, "value", "--core"),
        ({"return_std": 0.0}, "returns", "--entropy"),
        ({}, "returns", "--steps"),
    ],
)
def test_each_cause_is_said_once_with_an_option(capsys, of_late, cause, option):
    experiment = replace(EXPERIMENT, normalize_returns=False, core="feedforward")
    found = causes(experiment, rows(600, **of_late))
    said = capsys.readouterr().err
    assert set(found) == {cause}
    assert len(found) > 1  # every line of metrics has it
    assert said.count("\n") == 1
    assert option in said


@pytest.mark.parametrize("of_late", [{}, {"value_explained": 0.0}, {"entropy": 0.69}, {"kl": 1e-9}])
def test_rising_returns_are_let_alone(capsys, of_late):
    # What looks wrong while returns rise is no reason to stop.
    assert not causes(EXPERIMENT, rows(rising=0.1, **of_late))
    assert not capsys.readouterr().err


def test_returns_that_are_all_alike_are_told_at_once():
    short = replace(EXPERIMENT, steps=80_000)
    alike = list(rows(80, return_std=0.0))
    assert set(causes(short, alike)) == {"returns"}
    # One episode that came off is hope enough to wait for.
    once = [{**line, "return_std": 3.0} if place == 2 else line for place, line in enumerate(alike)]
    assert not causes(short, once)


def test_rise_below_zero_counts_too():
    falling_cost = ({**line, "return_mean": -500.0 + line["env_steps"] / 1_000} for line in rows(kl=1e-9))
    assert not causes(EXPERIMENT, falling_cost)


def test_nothing_is_said_before_a_fair_number_of_steps():
    lines = list(rows(400, kl=1e-9))
    watch = Watch(EXPERIMENT)
    first = next(line["env_steps"] for line in lines if watch.look(line))
    assert first == max(FAIR_STEPS, EXPERIMENT.steps // 5)
    few = Watch(replace(EXPERIMENT, steps=1))
    assert [bool(few.look({**line, "env_steps": 10**9})) for line in lines[: WINDOW + 1]] == [False] * 7 + [True] * 2


def test_metrics_that_are_missing_say_nothing():
    empty = [{"env_steps": 1_000 * number, "return_mean": None} for number in range(200)]
    assert not causes(EXPERIMENT, empty)
    bare = [{"env_steps": 1_000 * number, "return_mean": 1.0, "return_std": None} for number in range(250)]
    assert not causes(EXPERIMENT, bare)  # APPO and IMPALA report less


def test_resumed_run_remembers_where_it_started():
    before = list(rows(100, rising=1.0))
    after = [{**line, "return_mean": 120.0, "env_steps": line["env_steps"] + 100_000} for line in rows(400)]
    watch = Watch(EXPERIMENT, before)
    assert not any(watch.look(line) for line in after)


def test_run_that_begins_with_trained_weights_need_not_rise():
    experiment = replace(EXPERIMENT, start_from="runs/before")
    assert not causes(experiment, rows(600))
    assert set(causes(experiment, rows(600, kl=0.0))) == {"kl"}


def trained(tmp_path, experiment):
    run = create_run(tmp_path / "run", describe_run("rl", None, experiment.__dict__))
    train(run, experiment, None)
    return read_metrics(run)


@pytest.mark.ray
@pytest.mark.slow
def test_run_made_to_fail_says_so_and_the_same_run_as_it_should_be_does_not(tmp_path, capsys, ray_cluster):
    learning = RLExperiment(env="CartPole-v1", core="feedforward", steps=FAIR_STEPS + 3_000)
    still = trained(tmp_path / "still", replace(learning, lr=1e-12))
    assert still[-1]["not_learning"] == "kl"
    assert "--lr" in capsys.readouterr().err
    good = trained(tmp_path / "good", learning)
    assert not any("not_learning" in row for row in good)
    assert "not learning" not in capsys.readouterr().err


@pytest.mark.ray
@pytest.mark.slow
def test_rewards_out_of_scale_are_named(tmp_path, capsys, ray_cluster):
    # What CartPole did under its users' discount before returns were normalised.
    experiment = _tuned(env="CartPole-v1", core="gru", gamma=0.99, gae_lambda=0.95, steps=FAIR_STEPS + 3_000)
    rows = trained(tmp_path, experiment)
    assert all(math.isfinite(row["gradient_norm"]) for row in rows)
    assert rows[-1]["not_learning"]
    assert "--normalize-returns" in capsys.readouterr().err
