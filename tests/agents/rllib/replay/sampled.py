"""What a DQN's runner sampled, and the buffer that holds it."""

import torch

from lukasa.agents.rllib import MemoryDQNConfig, register_environment
from lukasa.agents.rllib.replay.sequences import row_of
from tests.agents.rllib.sampling import make_learner, make_runner, ship

CORES = {
    "gru": {"core": "gru", "size": 8},
    "ntm": {"core": "ntm", "slots": 8, "word_size": 4, "controller_size": 16},
    "sam": {"core": "sam", "slots": 7, "word_size": 4, "heads": 2, "reads": 2, "controller_size": 16},
    "sdnc": {"core": "sdnc", "slots": 9, "word_size": 4, "heads": 2, "reads": 2, "controller_size": 16},
    "snail": {"core": "snail"},
    "feedforward": {"core": "feedforward", "size": 8},
}


def dqn(core="gru", *, fragment=7, copies=3, max_seq_len=6, memory=None, env=None, **training):
    """DQN on episodes of 25 steps, longer than the fragments and no multiple of them."""
    config = MemoryDQNConfig().environment(env or register_environment("RepeatPrevious-k1-v0", length=25))
    config.env_runners(num_env_runners=0, num_envs_per_env_runner=copies)
    config.training(fragment=fragment, replay_sequences=4, num_steps_sampled_before_learning_starts=1, **training)
    config.debugging(seed=0)
    config.memory(**CORES[core], **(memory or {}), max_seq_len=max_seq_len)
    config.rollout_fragment_length = fragment
    return config


def make_outspoken(runner):
    """Weights as large as training makes them, so that a wrong memory changes what the agent values."""
    with torch.no_grad():
        for name, parameter in runner.module.named_parameters():
            parameter *= 100 if name.endswith(("advantage.2.weight", "value.2.weight")) else 2


def sampled(config, rounds=8, *, spy=None):
    """Runner, learner, buffer and the fragments in it; ``spy`` is called with the runner first."""
    runner = make_runner(config)
    make_outspoken(runner)
    learner = make_learner(config, runner)
    seen = spy(runner) if spy else None
    buffer, fragments = config.build_replay_buffer(), []
    for _ in range(rounds):
        found = ship(runner.sample())
        fragments += found
        buffer.add(found)
    return runner, learner, buffer, fragments, seen


def every_row(buffer, further=1):
    """All that a buffer can replay, with the sequences they are of."""
    sequences = [one for one in buffer._sequences.values() if one.steps]
    return sequences, [row_of(one, further=further) for one in sequences]
