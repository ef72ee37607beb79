"""Runs of an algorithm that replays: they go on where they were, with what they sampled or without."""

import json

import numpy as np
import pytest

from lukasa.agents.rllib import MemoryDQNConfig
from lukasa.launch.cli import main
from lukasa.launch.runs.checkpoints import list_checkpoints, load_checkpoint
from lukasa.launch.runs.directory import open_run, read_metrics

SMALL = (
    "train rl --algorithm dqn --env RepeatPrevious-k1-v0 --core gru --memory.size 4 --embedding 4 --output 4 "
    "--envs-per-runner 2 --batch-size 128 --max-seq-len 10 --ablation 0 --learning.replay-after 64 "
    "--learning.replay-sequences 4 --learning.replay-ratio 1 --learning.burn-in 3 --previous-action"
)

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def run(ray_cluster, tmp_path_factory):
    """A run that was resumed once, and what its checkpoint held before."""
    path = tmp_path_factory.mktemp("dqn") / "run"
    assert main([*SMALL.split(), "--steps", "256", "--out", str(path)]) == 0
    held = load_checkpoint(list_checkpoints(open_run(path)[0].checkpoints)[-1])
    assert main(["train", "rl", "--out", str(path), "--resume", "--steps", "512"]) == 0
    return path, held


def test_run_goes_on_with_all_it_had(run):
    path, before = run
    after = load_checkpoint(list_checkpoints(open_run(path)[0].checkpoints)[-1])
    rows = read_metrics(open_run(path)[0])
    assert [row["env_steps"] for row in rows] == [128, 256, 384, 512]
    assert all(np.isfinite(row["loss"]) and np.isfinite(row["td_error"]) for row in rows)
    replay = [one["algorithm"]["replay_buffer"] for one in (before, after)]
    assert (replay[0]["added"], replay[1]["added"]) == (256, 512)
    learner = after["algorithm"]["learner_group"]["learner"]
    names = learner["rl_module"]["default_policy"]
    assert any(name.startswith("target_net.") for name in names)
    assert rows[-1]["epsilon"] == pytest.approx(1 - 0.95 * 512 / 10_000, abs=0.02)


@pytest.mark.parametrize("words", ["eval RUN --episodes 2 --json", "eval RUN --episodes 2 --without memory --json"])
def test_agent_of_a_replaying_run_is_evaluated(run, capsys, words):
    capsys.readouterr()
    assert main(words.replace("RUN", str(run[0])).split()) == 0
    assert json.loads(capsys.readouterr().out)["episodes"] == 2


def test_run_begins_with_the_weights_of_another_and_goes_on_without_its_replay(run, tmp_path):
    words = [*SMALL.split(), "--start-from", str(run[0]), "--learning.no-save-replay", "--out", str(tmp_path / "next")]
    assert main([*words, "--steps", "128"]) == 0
    opened = open_run(tmp_path / "next")[0]
    assert "replay_buffer" not in load_checkpoint(list_checkpoints(opened.checkpoints)[-1])["algorithm"]
    assert main(["train", "rl", "--out", str(tmp_path / "next"), "--resume", "--steps", "256"]) == 0
    assert np.isfinite(read_metrics(opened)[-1]["loss"])


def test_restored_algorithm_has_the_same_target_and_draws_the_same(ray_cluster, tmp_path):
    config = MemoryDQNConfig().environment("CartPole-v1").memory(core="gru", size=4, max_seq_len=8)
    config.training(num_steps_sampled_before_learning_starts=64, replay_sequences=4, target_network_update_freq=300)
    config.env_runners(num_envs_per_env_runner=2).reporting(min_sample_timesteps_per_iteration=128)
    config.training(store_buffer_in_checkpoints=True).debugging(seed=3)
    algorithm = config.build_algo()
    for _ in range(3):
        algorithm.train()
    saved = algorithm.save_to_path(str(tmp_path / "saved"))
    other = type(algorithm).from_checkpoint(saved)
    states = [one.learner_group.get_state()["learner"] for one in (algorithm, other)]
    assert states[0]["target_network_moved"] == states[1]["target_network_moved"] != {}
    for name, tensor in states[0]["rl_module"]["default_policy"].items():
        np.testing.assert_array_equal(tensor, states[1]["rl_module"]["default_policy"][name])
    drawn = [
        [(one.first, one.steps) for one in each.local_replay_buffer.draw(9, 0.4)[0]] for each in (algorithm, other)
    ]
    assert drawn[0] == drawn[1]
    algorithm.stop()
    other.stop()
