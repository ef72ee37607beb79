"""RLlib's own way of sampling and the lean one, side by side, for tests that compare what comes out."""

from typing import Any

import numpy as np
import torch
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner

from lukasa.agents.rllib.runner import MemoryEnvRunner
from lukasa.agents.rllib.state_log import StateLog
from tests.agents.rllib.sampling import learner_batch, make_learner, ship

FRAGMENT = ("t", "t_started", "is_terminated", "is_truncated", "_last_added_observation", "_last_added_infos")
BUFFERS = ("observations", "actions", "rewards", "infos")
TIMED = ("timer", "duration", "throughput", "time_between", "/sample")


class PlainRunner(MemoryEnvRunner):
    """A runner that samples by RLlib's pieces whatever the config."""

    _sample = SingleAgentEnvRunner._sample


def assert_same(found: Any, expected: Any, where: str) -> None:
    """Fails unless two nested values are the same to the last bit, types and dtypes included."""
    assert type(found) is type(expected), (where, type(found), type(expected))
    if isinstance(expected, dict):
        assert list(found) == list(expected), where
        for name in expected:
            assert_same(found[name], expected[name], f"{where}.{name}")
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected), where
        for number, (one, other) in enumerate(zip(found, expected, strict=True)):
            assert_same(one, other, f"{where}[{number}]")
    elif isinstance(expected, torch.Tensor):
        assert found.dtype == expected.dtype, where
        assert found.shape == expected.shape, (where, found.shape, expected.shape)
        assert found.contiguous().numpy().tobytes() == expected.contiguous().numpy().tobytes(), where
    elif isinstance(expected, np.ndarray | np.generic):
        assert found.dtype == expected.dtype, where
        assert found.shape == expected.shape, (where, found.shape, expected.shape)
        assert found.tobytes() == expected.tobytes(), where
    else:
        assert found == expected, (where, found, expected)


def contents(episode: Any) -> dict[str, Any]:
    """All that a fragment carries but its name and its clock."""
    held: dict[str, Any] = {name: getattr(episode, name) for name in FRAGMENT}
    buffers = {name: getattr(episode, name) for name in BUFFERS} | dict(episode.extra_model_outputs)
    for name, buffer in buffers.items():
        held[f"buffer {name}"] = {"data": buffer.data, "lookback": buffer.lookback, "finalized": buffer.finalized}
    log = episode.custom_data.get(StateLog.KEY)
    held["states"] = None if log is None else _without_live(log.__getstate__())
    return held


def _without_live(state: dict[str, Any]) -> dict[str, Any]:
    return {name: part for name, part in state.items() if not name.startswith("_") or name == "_choices"}


def numbers(metrics: Any) -> dict[str, Any]:
    """A runner's metrics but for those of time, flat, by path."""
    found: dict[str, Any] = {}

    def visit(path: str, part: Any) -> None:
        if isinstance(part, dict):
            for name, one in part.items():
                visit(f"{path}/{name}", one)
        elif not any(word in path for word in TIMED):
            found[path] = part.peek() if hasattr(part, "peek") else part

    visit("", metrics)
    return {path: np.asarray(value).tolist() for path, value in sorted(found.items())}


def sampled(config: Any, runner_class: type, calls: list[dict[str, Any]]) -> tuple[Any, dict[str, Any]]:
    """What a runner's samples are, one call after the other, and all that the next one begins with."""
    config = config.copy(copy_frozen=False)
    torch.manual_seed(0)
    runner: Any = runner_class(config=config)
    torch.manual_seed(1)
    samples = [runner.sample(**call) for call in calls]
    ongoing = runner._ongoing_episodes if config.batch_mode == "truncate_episodes" else []
    ongoing = [] if "num_episodes" in calls[-1] else ongoing  # others are left lying, and never looked at again
    shipped = [ship(fragments) for fragments in samples]
    left = {
        "fragments": [[contents(one) for one in fragments] for fragments in shipped],
        "here": [[contents(one) for one in fragments] for fragments in samples],
        "metrics": numbers(runner.get_metrics()),
        "random": torch.get_rng_state(),
        "next": runner._cached_to_module if "live_state" not in runner._cached_to_module["state_in"] else None,
        "under way": [contents(one) for one in ongoing],
        "names": len({one.id_ for fragments in samples for one in fragments}),
    }
    return (runner, shipped), left


def compare(config: Any, calls: list[dict[str, Any]] | None = None, learn: bool = False) -> Any:
    """Sample both ways and fail where they differ, or what a learner makes of them; the lean runner."""
    calls = [{}] * 3 if calls is None else calls
    (lean, mine), found = sampled(config, MemoryEnvRunner, calls)
    (plain, theirs), expected = sampled(config, PlainRunner, calls)
    assert lean.sampling_path().startswith("All episodes"), lean.sampling_path()
    for name, part in expected.items():
        assert_same(found[name], part, name)
    assert sum(map(len, mine)) > 0
    if learn:
        learner = make_learner(config.copy(copy_frozen=False), plain)
        for ours, other in zip(mine, theirs, strict=True):
            batches = [learner_batch(learner, fragments) for fragments in (ours, other)]
            for batch in batches:
                batch.pop("infos", None)
            assert_same(batches[0], batches[1], "batch")
    return lean
