"""``lukasa plot`` of an agent: its memory over an episode."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from launch.checkpoints import list_checkpoints
from launch.formats import Format, picture_path
from launch.learning import Subject
from launch.recipes import EPISODES_IN_MEAN, RL, RLExperiment
from launch.runs import Run

DRAWN_WEIGHTS = ("read", "write")


@dataclass(frozen=True)
class PlotOptions:
    """Draw the learning curve of a run and its memory over an episode; of several runs, their curves on one picture.

    Attributes:
        out: file of the learning curves, a PNG, PDF or SVG by its name; in plots/ of the first run by default.
        format: format of all pictures; by default that of --out, or png.
        checkpoint: which agent plays the episode: best, last, or a name.
        seed: seed of the episode.
    """

    out: str | None = None
    format: Format | None = None
    checkpoint: str = "best"
    seed: int = 1_000_000


KIND = RL


def subject(experiment: RLExperiment) -> Subject:
    """What a run is scored on."""
    import envs

    unit, known = envs.score_unit(experiment.env), envs.ENVIRONMENTS.get(experiment.env)
    return Subject(
        name=experiment.env,
        plural="environments",
        unit=unit,
        counted="environment steps",
        score_key="success_rate" if unit == "success rate" else "return_mean",
        spread_key="" if unit == "success rate" else "return_std",
        learner=experiment.core,
        chance=known.chance if known else None,
        best=known.best if known else None,
        averaged=f", last {EPISODES_IN_MEAN} episodes",
    )


def plot_details(run: Run, experiment: RLExperiment, options: PlotOptions) -> Iterator[Path]:
    """Draw the pictures of one run beside its learning curve, and give their places."""
    if list_checkpoints(run.checkpoints):
        yield plot_episode(run, experiment, options)


def plot_episode(run: Run, experiment: RLExperiment, options: PlotOptions) -> Path:
    """Let the agent play one episode and draw its memory."""
    import envs
    from agents.rllib import rollout
    from launch.algorithms import quiet_libraries
    from launch.episode_plots import draw_episode
    from launch.evaluate_rl import load_agent

    agent = load_agent(run, experiment, options.checkpoint)
    with quiet_libraries():
        env = envs.make(experiment.env, **experiment.env_settings)
        (episode,) = rollout(agent.module, env, 1, seed=options.seed, record=True)
        env.close()
    weights = {name: episode.weights[name] for name in DRAWN_WEIGHTS if name in episode.weights}
    path = picture_path(run.plots, "episode", options.format)
    title = f"{experiment.core} on {experiment.env}: return {episode.episode_return:.2f} ({agent.checkpoint.name})"
    draw_episode(
        {
            "observation": flat_features(episode.observations)[: episode.length],
            "action": flat_features(episode.actions),
        },
        weights or dict(list(episode.weights.items())[:1]),
        path,
        title=title,
    )
    return path


def flat_features(observations: Any) -> np.ndarray:
    """Observations [T, ...] as they are; those of a Dict or Tuple space as one array [T, features]."""
    if not isinstance(observations, dict | tuple):
        return np.asarray(observations)
    parts = observations.values() if isinstance(observations, dict) else observations
    arrays = [flat_features(part) for part in parts]
    return np.concatenate([array.reshape(len(array), -1) for array in arrays], 1)
