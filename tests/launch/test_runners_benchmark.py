"""``lukasa bench runners``: what it counts, what it predicts, what it refuses; the runs themselves are slow."""

import math

import pytest

from lukasa.benchmarks.runners import median_row, summary, warm
from lukasa.benchmarks.runners_report import page, predicted, rates
from lukasa.launch.cli import main


def test_benchmark_leaves_the_first_iterations_out_and_weighs_the_others_by_their_time():
    rows = [{"env_steps": 100 * i, "seconds": float(i), "loss": 1.0 if i > 1 else None} for i in range(6)]
    rows = [row | {"runner_wait": 0.5, "learner_wait": 0.2, "resident_bytes": 7} for row in rows]
    rows[-1] |= {"seconds": 7.0, "runner_wait": 0.8, "env_steps": 1000}
    assert [row["seconds"] for row in warm(rows)] == [4.0, 7.0]
    found = summary([*rows, rows[-1] | {"seconds": 8.0, "env_steps": 1200, "runner_wait": 0.0}], 1.0)
    assert found["steps_per_second"] == (1200 - 400) / 4
    assert found["runner_wait"] == pytest.approx((0.8 * 3 + 0.0 * 1) / 4)


def test_prediction_meets_the_measurement_and_names_the_limit():
    row = {"steps_per_second": 1000.0, "runners": 2, "runner_wait": 0.5, "learner_wait": 0.5, "driver_batching": 0.0}
    each = rates(row)
    assert each == {"runner": 1000.0, "learner": 2000.0, "driver": math.inf}
    # Two runners sample half of the time, the learner learns the other half: what was measured.
    assert predicted("ppo", each, 1000.0, 2)["steps_per_second"] == pytest.approx(1000.0)
    many = predicted("ppo", each, 1000.0, 1024)
    assert many["limit"] == "learner"
    assert many["steps_per_second"] == pytest.approx(2000, rel=0.01)
    assert predicted("appo", each, 1000.0, 1)["limit"] == "runners"
    assert predicted("appo", each | {"driver": 1500.0}, 1000.0, 16)["limit"] == "driver"
    assert predicted("appo", each, 1e7, 16)["limit"] == "network"
    assert predicted("appo", each, 1000.0, 16)["runner_wait"] == pytest.approx(1 - 2000 / 16000)


def test_rows_are_medians_with_the_lowest_and_highest_speed():
    rows = [{"steps_per_second": speed, "runner_wait": speed / 100} for speed in (10.0, 40.0, 30.0)]
    found = median_row("ppo", 2, rows)
    assert found == {
        "algorithm": "ppo", "runners": 2, "steps_per_second": 30.0, "runner_wait": 0.3, "low": 10.0, "high": 40.0,
    }  # fmt: skip


def test_page_says_what_was_measured_and_where_it_saturates():
    row = {"runner_wait": 0.5, "learner_wait": 0.5, "driver_batching": 0.0, "low": 900.0, "high": 1100.0}
    rows = [row | {"algorithm": "ppo", "runners": runners, "steps_per_second": 1000.0} for runners in (0, 1)]
    asked = {"recipe": "repeat_previous_gru", "seconds": 60.0, "repeats": 3}
    versions = {"python": "3.11", "torch": "2.13.0", "ray": "2.60.0"}
    shipped = {"bytes_per_step": 100.0, "weight_bytes": 120_000}
    told = page(
        {"experiment": asked, "versions": versions, "commit": "abc", "cores": 2, "shipped": shipped, "rows": rows}
    )
    assert "| ppo | in the learner | 1,000 | 900 to 1,100 | 50% | 50% | 0% |" in told
    assert "| ppo | 1 | 2,000 | 2,000 | with the learner | 1.0 runners |" in told
    # 16 runners of 2,000 steps a second, and a learner of 2,000 that they wait for.
    assert "| ppo | 1 | 16 | 1,882 | learner | 94% | 0.2 |" in told
    assert "- ppo: what limits it at 16 runners: the learner" in told


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("--algorithms a2c", "unknown algorithm 'a2c': known are ppo, appo, impala"),
        ("--runners -1", "option --runners is -1: expected at least 0"),
        ("--seconds 0", "option --seconds is 0: expected more than 0"),
        ("--recipe repeat_previous_gruu", "did you mean 'repeat_previous_gru'?"),
    ],
)
def test_what_cannot_be_measured_is_one_sentence(capsys, options, told):
    assert main(["bench", "runners", *options.split()]) == 2
    assert told in capsys.readouterr().err
