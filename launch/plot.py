"""``lukasa plot``: learning curves of runs, and the memory of one over an episode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from launch.checkpoints import list_checkpoints
from launch.errors import UserError
from launch.options import parse, split_words
from launch.recipes import RLExperiment, experiment_from_json
from launch.runs import Run, open_run, read_metrics

DRAWN_WEIGHTS = ("read", "write")


@dataclass(frozen=True)
class PlotOptions:
    """Draw the learning curve of a run and its memory over an episode; of several runs, their curves on one picture.

    Attributes:
        out: the PNG of several runs' curves; plots/comparison.png of the first run by default.
        checkpoint: which agent plays the episode: best, last, or a name.
        seed: seed of the episode.
    """

    out: str | None = None
    checkpoint: str = "best"
    seed: int = 1_000_000


def main(argv: Sequence[str]) -> int:
    """Draw, and print where the pictures are."""
    words, rest = split_words(argv)
    options = parse(PlotOptions, rest, prog="lukasa plot RUN [RUN ...]")
    if not words:
        raise UserError("lukasa plot needs at least one run directory: lukasa plot RUN")
    runs = []
    for word in words:
        run, config = open_run(Path(word))
        runs.append((run, experiment_from_json(config["experiment"])))
    run, experiment = runs[0]
    if len(runs) > 1:
        print(plot_learning(runs, Path(options.out) if options.out else run.plots / "comparison.png"))
        return 0
    print(plot_learning(runs, Path(options.out) if options.out else run.plots / "learning.png"))
    if list_checkpoints(run.checkpoints):
        print(plot_episode(run, experiment, options))
    return 0


def plot_learning(runs: Sequence[tuple[Run, RLExperiment]], path: Path) -> Path:
    """Draw the learning curves of runs on one environment.

    Raises:
        UserError: the runs are of several environments, or one has no metrics.
    """
    import envs
    from launch.plots import draw_learning

    ids = list(dict.fromkeys(experiment.env for _, experiment in runs))
    if len(ids) > 1:
        raise UserError(f"these runs are of {len(ids)} environments ({', '.join(ids)}): draw those of one at a time")
    if path.suffix != ".png":
        raise UserError(f"--out {path} is not a picture: give a file that ends in .png")
    unit, known = envs.score_unit(ids[0]), envs.ENVIRONMENTS.get(ids[0])
    curves = [_curve(run, label, unit) for (run, _), label in zip(runs, _labels(runs), strict=True)]
    draw_learning(
        curves,
        path,
        title=ids[0],
        unit=unit,
        chance=known.chance if known else None,
        best=known.best if known else None,
    )
    return path


def plot_episode(run: Run, experiment: RLExperiment, options: PlotOptions) -> Path:
    """Let the agent play one episode and draw its memory."""
    import envs
    from agents.rllib import rollout
    from launch.algorithms import quiet_libraries
    from launch.evaluate import load_agent
    from launch.plots import draw_episode

    agent = load_agent(run, experiment, options.checkpoint)
    with quiet_libraries():
        env = envs.make(experiment.env, **experiment.env_settings)
        (episode,) = rollout(agent.module, env, 1, seed=options.seed, record=True)
        env.close()
    weights = {name: episode.weights[name] for name in DRAWN_WEIGHTS if name in episode.weights}
    path = run.plots / "episode.png"
    title = f"{experiment.core} on {experiment.env}: return {episode.episode_return:.2f} ({agent.checkpoint.name})"
    steps = len(episode.actions)
    draw_episode(
        flat_features(episode.observations)[:steps],
        episode.actions,
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


def _curve(run: Run, label: str, unit: str) -> Any:
    from launch.plots import Curve

    name = "success_rate" if unit == "success rate" else "return_mean"
    rows = [row for row in read_metrics(run) if row.get(name) is not None]
    if not rows:
        raise UserError(f"run {run.path} has no {name} yet: train it for longer")
    spread = [row.get("return_std") for row in rows] if name == "return_mean" else []
    return Curve(
        label,
        [row["env_steps"] for row in rows],
        [row[name] for row in rows],
        [float(value) for value in spread if value is not None] if None not in spread else (),
    )


def _labels(runs: Sequence[tuple[Run, RLExperiment]]) -> list[str]:
    """The core of each run; with the seed, then the folder, where that does not tell them apart."""
    for tell in (
        lambda run, experiment: experiment.core,
        lambda run, experiment: f"{experiment.core}, seed {experiment.seed}",
        lambda run, experiment: str(run.path),
    ):
        labels = [tell(run, experiment) for run, experiment in runs]
        if len(set(labels)) == len(labels):
            break
    return labels
