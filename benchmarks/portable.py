"""``act`` of an agent out of its file beside RLlib's module of the same weights, and requests to a served one.

``lukasa bench act`` prints microseconds a step and session with 1, 64 and 1,024 sessions side by side; with ``--serve``
also requests a second on loopback, of one session a request and of 64.
"""

from __future__ import annotations

import json
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch

from lukasa.agents.portable import load_agent
from lukasa.agents.rllib import MemoryRLModule, MemorySettings, RLAgent
from lukasa.agents.rllib.exporting import export_agent
from lukasa.launch.options.fields import Switch
from lukasa.launch.options.parsing import parse

SPACES = gym.spaces.Box(-np.inf, np.inf, (8,), np.float32), gym.spaces.Discrete(4)
TOGETHER = 64


@dataclass(frozen=True)
class ActOptions:
    """Time a step of an agent out of its file, beside RLlib's module with the same weights.

    Attributes:
        cores: which cores, with their default options.
        sessions: numbers of sessions side by side.
        seconds: that each measurement takes, about; the least of three thirds is reported.
        serve: also serve the first core's agent on loopback and count requests a second.
        json: print the rows as JSON.
    """

    cores: tuple[str, ...] = ("gru", "lstm", "ntm", "dnc", "sam", "gtrxl")
    sessions: tuple[int, ...] = (1, 64, 1024)
    seconds: float = 2.0
    serve: Switch = False
    json: Switch = False


def main(argv: Sequence[str]) -> int:
    options = parse(ActOptions, argv, prog="lukasa bench act")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        rows = [row for core in options.cores for row in _rows(core, Path(folder) / f"{core}.lukasa", options)]
        if options.json:
            print(json.dumps(rows, indent=1))
        else:
            print(
                "microseconds a step and session: agent.act, RLlib's module (forward_inference alone), and its RLAgent"
            )
            print(f"{'core':<10}{'sessions':>9}{'agent.act':>11}{'module':>9}{'RLAgent':>9}{'act/RLAgent':>13}")
            for row in rows:
                share = f"{row['RLAgent'] / row['agent.act']:>12.1f}x"
                times = f"{row['agent.act']:>11.2f}{row['module']:>9.2f}{row['RLAgent']:>9.2f}"
                print(f"{row['core']:<10}{row['sessions']:>9,}{times}{share}")
        if options.serve:
            _serve(Path(folder) / f"{options.cores[0]}.lukasa", options.seconds)
    return 0


def _rows(core: str, file: Path, options: ActOptions) -> list[dict[str, Any]]:
    """Microseconds a step and session of one core, for every number of sessions."""
    module = _module(core)
    export_agent(module, file, {"env": "none"})
    rows = []
    for count in options.sessions:
        print(f"{core}, {count:,} sessions", file=sys.stderr, flush=True)
        times = [_timed(one, options.seconds) / count * 1e6 for one in _steps(module, file, count)]
        named = dict(zip(("agent.act", "module", "RLAgent"), times, strict=True))
        rows.append({"core": core, "sessions": count, **named})
    return rows


def _module(core: str) -> MemoryRLModule:
    torch.manual_seed(0)
    settings = MemorySettings(core=core, normalize_observations=True)
    module = MemoryRLModule(
        observation_space=SPACES[0], action_space=SPACES[1], model_config={**settings.to_dict(), "max_seq_len": 64}
    )
    return module.eval()


def _steps(module: MemoryRLModule, file: Path, count: int) -> list[Callable[[], Any]]:
    """A step of the agent, of the module alone, and of the module between its connectors; each goes on."""
    shown = np.random.default_rng(0).normal(size=(count, 8)).astype(np.float32)
    agent, sitting = load_agent(file), {}
    sitting["sessions"] = agent.begin(count)

    def act() -> None:
        _, sitting["sessions"] = agent.act(shown, sitting["sessions"])

    observed = torch.from_numpy(shown).unsqueeze(1)
    sitting["state"] = module.initial_live_state(count)

    @torch.no_grad()
    def forward() -> None:
        outputs = module.forward_inference({"obs": observed, "state_in": sitting["state"]})
        sitting["state"] = outputs["state_out"]

    sitting["state"]["episode_start"] = torch.zeros(count, dtype=torch.bool)
    beside = RLAgent(module, copies=count)
    return [act, forward, lambda: beside.act(shown)]


def _timed(step: Callable[[], Any], seconds: float) -> float:
    """Seconds of a step: the mean over a third of the time, in the best of three."""
    step()
    found = []
    for _ in range(3):
        steps, begun = 0, time.perf_counter()
        while (passed := time.perf_counter() - begun) < seconds / 3:
            step()
            steps += 1
        found.append(passed / steps)
    return min(found)


def _serve(file: Path, seconds: float) -> None:
    from lukasa.launch.serving.client import AgentClient
    from lukasa.launch.serving.deployment import served

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    look = np.zeros(8, np.float32)
    with served(file, port=port) as url:
        client, names = AgentClient(url), {}
        names["one"] = client.act(look)[1]
        names["many"] = client.act_together([look] * TOGETHER)[1]

        def one() -> None:
            client.act(look, names["one"])

        def many() -> None:
            client.act_together([look] * TOGETHER, names["many"])

        single, together = _timed(one, seconds), _timed(many, seconds)
    print(f"served on loopback, one client: {1 / single:,.0f} requests a second of one session")
    print(f"{1 / together:,.0f} requests a second of {TOGETHER} sessions, {TOGETHER / together:,.0f} steps a second")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
