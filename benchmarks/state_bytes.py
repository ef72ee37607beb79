"""``lukasa bench states``: bytes that an env runner ships per environment step, by RLlib's own means and by keyframes.

Also checks, on the same fragments, that the chunk states which the learner rebuilds equal the runner's bit for bit.
"""

from __future__ import annotations

import json
import pickle
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner

from lukasa.agents.rllib import MemoryPPOConfig, MemoryRLModule, register_environment
from lukasa.launch.options.fields import Switch
from lukasa.launch.options.parsing import parse
from lukasa.launch.ray.session import running_ray

CORES: dict[str, dict[str, Any]] = {
    "ntm 128x20": {"core": "ntm", "slots": 128, "word_size": 20},
    "dnc 64x16": {"core": "dnc", "slots": 64, "word_size": 16},
}


@dataclass(frozen=True)
class Settings:
    """Measure the bytes that an env runner ships per environment step.

    Attributes:
        env: the environment's id.
        copies: copies of it.
        fragment: steps of one sample from each copy.
        samples: samples that are counted.
        out: write the rows here as JSON.
        json: print the rows as JSON.
    """

    env: str = "popgym-RepeatPreviousEasy-v0"
    copies: int = 8
    fragment: int = 128
    samples: int = 4
    out: Path | None = None
    json: Switch = False


@dataclass(frozen=True)
class Row:
    """One core."""

    core: str
    state_bytes: int
    stock_bytes_per_step: float
    keyframe_bytes_per_step: float
    stock_steps_per_second: float
    keyframe_steps_per_second: float
    chunk_states_compared: int
    chunk_states_different: int


def make_config(settings: Settings, options: dict[str, Any], stock: bool) -> Any:
    """PPO with the memory agent; ``stock`` leaves the states to RLlib's own pieces."""
    ours = _common(MemoryPPOConfig(), settings).memory(**options)
    if not stock:
        return ours
    spec = RLModuleSpec(module_class=MemoryRLModule, model_config=ours.model_config)
    return _common(PPOConfig(), settings).rl_module(rl_module_spec=spec)


def _common(config: Any, settings: Settings) -> Any:
    config.environment(register_environment(settings.env))
    config.env_runners(
        num_env_runners=0, num_envs_per_env_runner=settings.copies, rollout_fragment_length=settings.fragment
    )
    return config.training(
        train_batch_size_per_learner=settings.copies * settings.fragment, minibatch_size=256
    ).debugging(seed=0)


def sample(config: Any, settings: Settings, fed: dict[Any, Any] | None = None) -> tuple[Any, list[Any], float, float]:
    """The runner, the fragments as they arrive, bytes a step and steps a second (sampling and serialising)."""
    torch.manual_seed(0)
    runner = SingleAgentEnvRunner(config=config)
    if fed is not None:
        _spy(runner, fed)
    runner.sample()
    fragments, size, steps, start = [], 0, 0, time.perf_counter()
    for _ in range(settings.samples):
        shipped = pickle.dumps(runner.sample(), protocol=pickle.HIGHEST_PROTOCOL)
        arrived = pickle.loads(shipped)
        size, steps = size + len(shipped), steps + sum(map(len, arrived))
        fragments += arrived
    return runner, fragments, size / steps, steps / (time.perf_counter() - start)


def _spy(runner: Any, fed: dict[Any, Any]) -> None:
    """Keep every state that the runner feeds to its module, by episode and step."""
    pipeline = runner._env_to_module

    def spied(*, episodes: Any, **kwargs: Any) -> Any:
        batch = pipeline(episodes=episodes, **kwargs)
        for row, episode in enumerate(episodes):
            fed[episode.id_, episode.t] = {k: v[row].clone() for k, v in batch[Columns.STATE_IN].items()}
        return batch

    runner._env_to_module = spied


def compare(config: Any, spaces: Any, runner: Any, fragments: list[Any], fed: dict[Any, Any]) -> tuple[int, int]:
    """How many chunk states the learner rebuilt mid-episode, and how many of them differ from the runner's."""
    chunk = config.model_config["max_seq_len"]
    # The learner appends one step to each fragment, for the bootstrap value.
    starts = [(e.id_, t) for e in fragments for t in range(e.t_started, e.t_started + len(e) + 1, chunk)]
    learner = config.build_learner(spaces=spaces)
    learner.module[DEFAULT_MODULE_ID].set_state(runner.module.get_state())
    batch = learner._learner_connector(
        rl_module=learner.module, batch={}, episodes=fragments, shared_data={}, metrics=None
    )
    states = batch[DEFAULT_MODULE_ID][Columns.STATE_IN]
    assert len(starts) == len(next(iter(states.values()))), "one state for each chunk"
    checked = [(row, start) for row, start in enumerate(starts) if start[1] > 0]
    different = sum(
        not all(torch.equal(states[name][row], tensor) for name, tensor in fed[start].items()) for row, start in checked
    )
    return len(checked), different


def measure(name: str, options: dict[str, Any], settings: Settings) -> Row:
    """One core, both ways."""
    stock_runner, _, stock_bytes, stock_rate = sample(make_config(settings, options, stock=True), settings)
    _, _, key_bytes, key_rate = sample(make_config(settings, options, stock=False), settings)
    fed: dict[Any, Any] = {}
    config = make_config(settings, options, stock=False)
    runner, fragments, *_ = sample(config, settings, fed)
    compared, different = compare(config, stock_runner.get_spaces(), runner, fragments, fed)
    state = sum(part.nbytes for part in stock_runner.module.get_initial_state().values())
    return Row(name, state, stock_bytes, key_bytes, stock_rate, key_rate, compared, different)


def main(argv: Sequence[str]) -> int:
    """Print a table, or JSON; write JSON where asked."""
    settings = parse(Settings, argv, prog="lukasa bench states")
    table = sys.stderr if settings.json else sys.stdout
    torch.set_num_threads(1)
    with running_ray(2):
        measured = [measure(name, options, settings) for name, options in CORES.items()]
    print(
        "core         state bytes   stock B/step  keyframes B/step   stock steps/s  keyframes steps/s   states equal",
        file=table,
    )
    for row in measured:
        equal = f"{row.chunk_states_compared - row.chunk_states_different} of {row.chunk_states_compared}"
        print(
            f"{row.core:<12} {row.state_bytes:11,}  {row.stock_bytes_per_step:13,.0f}  "
            f"{row.keyframe_bytes_per_step:16,.0f}  {row.stock_steps_per_second:14,.0f}  "
            f"{row.keyframe_steps_per_second:17,.0f}   {equal}",
            file=table,
        )
    rows = [asdict(row) for row in measured]
    if settings.out is not None:
        settings.out.write_text(json.dumps(rows, indent=1) + "\n")
    if settings.json:
        print(json.dumps(rows))
    return 0
