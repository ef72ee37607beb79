"""How episodes ended, as it comes out of RLlib's metrics: however many there were, wherever they were sampled."""

import itertools

import pytest
from ray.rllib.utils.metrics import ENV_RUNNER_RESULTS
from ray.rllib.utils.metrics.metrics_logger import MetricsLogger

from lukasa.launch.cli import main
from lukasa.launch.kinds.rl.outcomes import OUTCOMES, episodes_ended
from lukasa.launch.runs.directory import Run, read_metrics


@pytest.mark.parametrize("counts", [(0,), (1,), (2,), (5,), (0, 0), (1, 0), (0, 1), (1, 1), (3, 1), (0, 0, 1)])
def test_every_episode_of_every_runner_is_counted_once_in_each_iteration(counts):
    algorithm, runners = MetricsLogger(root=True), [MetricsLogger(root=False) for _ in counts]
    for iteration in range(3):
        expected = []
        for index, (runner, count) in enumerate(zip(runners, counts, strict=True)):
            for episode in range(count):
                outcome = (float(iteration), 10 * index + episode, 0.5)
                runner.log_value(OUTCOMES, outcome, reduce="item_series")
                expected.append(outcome)
        algorithm.aggregate([runner.reduce() for runner in runners], key=ENV_RUNNER_RESULTS)
        assert episodes_ended(algorithm.compile()) == expected


@pytest.mark.parametrize("sampled", [{}, {OUTCOMES: []}, {OUTCOMES: float("nan")}])
def test_iteration_in_which_no_episode_ends_has_none(sampled):
    assert episodes_ended({ENV_RUNNER_RESULTS: sampled}) == []
    assert episodes_ended({}) == []


@pytest.mark.slow
@pytest.mark.ray
def test_run_whose_iterations_see_none_one_or_two_episodes_end_goes_on(tmp_path, ray_cluster):
    run = Run(tmp_path / "run")
    # Episodes of 51 steps in batches of 40: from none to one a batch.
    options = "--env RepeatPrevious-k1-v0 --core gru --memory.size 4 --embedding 4 --output 4 --epochs 1 --steps 400"
    sizes = "--envs-per-runner 1 --batch-size 40 --minibatch-size 40 --max-seq-len 40"
    assert main(["train", "rl", "--out", str(run.path), *options.split(), *sizes.split()]) == 0
    rows = read_metrics(run)
    ended = [row["episodes"] for row in rows]
    assert 0 in ended
    assert 1 in [now - then for then, now in itertools.pairwise(ended)]
    assert all(row["return_mean"] is None for row in rows if not row["episodes"])
    assert all(isinstance(row["return_mean"], float) for row in rows if row["episodes"])
