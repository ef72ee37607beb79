"""``lukasa eval`` of an agent: its return over fresh episodes."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from agents.intervals import mean_interval, share_interval
from launch.checkpoints import Checkpoint, find_checkpoint, load_checkpoint
from launch.errors import UserError
from launch.options import Switch, parse
from launch.recipes import RL, RLExperiment
from launch.runs import Run


@dataclass(frozen=True)
class EvalOptions:
    """Run episodes of a trained agent and report its return.

    Attributes:
        episodes: number of episodes to play.
        checkpoint: which checkpoint to play: best, last, or its name.
        explore: draw actions from the policy instead of taking the likeliest.
        seed: seed of the episodes.
        json: print one JSON object.
    """

    episodes: int = 100
    checkpoint: str = "best"
    explore: Switch = False
    seed: int = 1_000_000
    json: Switch = False


@dataclass(frozen=True)
class Agent:
    """A trained agent out of a run directory."""

    run: Run
    experiment: RLExperiment
    checkpoint: Checkpoint
    module: Any


def main(run: Run, config: dict[str, Any], argv: Sequence[str]) -> int:
    """Evaluate a run with the options of the command line."""
    options = parse(EvalOptions, argv, prog="lukasa eval RUN")
    if options.episodes < 1:
        raise UserError(f"option --episodes is {options.episodes}: expected at least 1")
    result = evaluate(run, RL.from_json(config["experiment"]), options)
    print(json.dumps(result) if options.json else describe(result))
    return 0


def evaluate(run: Run, experiment: RLExperiment, options: EvalOptions) -> dict[str, Any]:
    """Run the episodes and sum them up; the keys are those that ``lukasa eval --json`` prints."""
    import envs
    from agents.rllib import rollout
    from launch.algorithms import quiet_libraries

    agent = load_agent(run, experiment, options.checkpoint)
    print(f"{options.episodes} episodes of {agent.checkpoint.path}", file=sys.stderr)
    with quiet_libraries():
        # As many side by side as in training, where the memory of so many fitted.
        count = min(options.episodes, experiment.envs_per_runner)
        copies = [envs.make(experiment.env, **experiment.env_settings) for _ in range(count)]
        episodes = rollout(agent.module, copies, options.episodes, explore=options.explore, seed=options.seed)
        for env in copies:
            env.close()
    returns = [episode.episode_return for episode in episodes]
    unit = envs.score_unit(experiment.env)
    result: dict[str, Any] = {
        "run": str(run.path),
        "checkpoint": agent.checkpoint.name,
        "env": experiment.env,
        "env_settings": experiment.env_settings,
        "core": experiment.core,
        "episodes": len(episodes),
        "explore": options.explore,
        "seed": options.seed,
        "return_mean": float(np.mean(returns)),
        "return_std": float(np.std(returns)),
        "return_interval": mean_interval(returns),
        "length_mean": float(np.mean([episode.length for episode in episodes])),
    }
    if unit == "success rate":
        scores = [envs.episode_score(experiment.env, one.episode_return, one.info) for one in episodes]
        result |= {"success_rate": float(np.mean(scores)), "success_interval": share_interval(scores)}
    known = envs.ENVIRONMENTS.get(experiment.env)
    return result | {"score": unit, "chance": known and known.chance, "best": known and known.best}


def load_agent(run: Run, experiment: RLExperiment, which: str) -> Agent:
    """Rebuild the agent of a run from its config and a checkpoint, with the weights that earned the checkpoint's score.

    Raises:
        UserError: there is no such checkpoint, or it is cut short.
    """
    checkpoint = find_checkpoint(run.checkpoints, which)
    state = load_checkpoint(checkpoint)

    import torch

    from launch.algorithms import make_config, make_module, played_weights, quiet_libraries

    torch.set_num_threads(experiment.threads)
    with quiet_libraries():
        module = make_module(make_config(experiment), experiment)
        module.set_state(played_weights(state))
    return Agent(run, experiment, checkpoint, module)


def describe(result: dict[str, Any]) -> str:
    """The result for people."""
    low, high = result["return_interval"]
    lines = [
        f"{result['core']} on {result['env']}, {result['checkpoint']}, {result['episodes']} episodes",
        f"mean return   {result['return_mean']:.3f}   95 % confidence {low:.3f} to {high:.3f}",
    ]
    if "success_rate" in result:
        low, high = result["success_interval"]
        lines.append(f"success rate  {result['success_rate']:.3f}   95 % confidence {low:.3f} to {high:.3f}")
    if result["best"] is not None:
        lines.append(f"{result['score']}: chance {result['chance']:g}, best {result['best']:g}")
    return "\n".join(lines)
