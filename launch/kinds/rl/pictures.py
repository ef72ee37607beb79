"""``lukasa plot`` of an agent: its memory over an episode."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lukasa.launch.kinds.kind import Pictures
from lukasa.launch.kinds.rl.experiment import RLExperiment
from lukasa.launch.pictures.formats import Format, picture_path
from lukasa.launch.pictures.memory_panels import choose, memory_panels
from lukasa.launch.pictures.observation_panels import episode_panels, fixed_lag
from lukasa.launch.runs.checkpoints import list_checkpoints
from lukasa.launch.runs.directory import Run


@dataclass(frozen=True)
class PlotOptions:
    """Draw the learning curve of a run and its memory over an episode; of several runs, their curves on one picture.

    Attributes:
        out: file of the learning curves, a PNG, PDF or SVG by its name; in plots/ of the first run by default.
        format: format of all pictures; by default that of --out, or png.
        checkpoint: which agent plays the episode: best, last, or a name.
        seed: seed of the episode.
        env_settings: play in the environment with other settings than in training, as NAME VALUE pairs: corridor 70.
        show: parts of the memory to draw, such as write,read,age,gates; all for everything that the core records.
        max_steps: cut the episode off after so many steps; 10,000 by default, or the environment's own limit if larger.
    """

    out: str | None = None
    format: Format | None = None
    checkpoint: str = "best"
    seed: int = 1_000_000
    env_settings: dict[str, Any] = field(default_factory=dict)
    show: str | None = None
    max_steps: int | None = None


def plot_details(run: Run, experiment: RLExperiment, options: PlotOptions) -> Iterator[Path]:
    """Draw the pictures of one run beside its learning curve, and give their places."""
    from lukasa import envs

    if list_checkpoints(run.checkpoints) and not envs.possible_agents(experiment.env, experiment.env_settings):
        yield plot_episode(run, experiment, options)


def plot_episode(run: Run, experiment: RLExperiment, options: PlotOptions) -> Path:
    """Let the agent play one episode and draw what it saw, did and remembered."""
    from lukasa import envs
    from lukasa.agents.rllib import rollout
    from lukasa.launch.kinds.rl.agent_episodes import ShownEpisodes, with_settings
    from lukasa.launch.kinds.rl.evaluation import load_agent
    from lukasa.launch.pictures.episodes import draw_episode
    from lukasa.launch.ray.quiet import quiet_libraries

    show = choose(options.show)
    agent = load_agent(run, experiment, options.checkpoint)
    experiment = with_settings(experiment, options.env_settings)
    path = picture_path(run.plots, "episode", options.format)
    with quiet_libraries():
        env = envs.make(experiment.env, **experiment.env_settings)
        asked: dict[str, Any] = {"seed": options.seed, "max_steps": options.max_steps, "progress": ShownEpisodes(1)}
        (episode,) = rollout(agent.module, env, 1, record=True, **asked)
        panels = episode_panels(env, episode)
        slots = getattr(agent.module.core, "slots", None)
        panels += memory_panels(episode.weights, slots=slots, show=show, lag=fixed_lag(env))
        with suppress(Exception):
            env.close()
    draw_episode(
        panels,
        path,
        title=f"{experiment.core} on {experiment.env}: {score_of(experiment, episode)}",
        subtitle=f"seed {options.seed} · {agent.checkpoint.name} of {run.path.name}",
    )
    return path


def score_of(experiment: RLExperiment, episode: Any) -> str:
    """How the episode went, such as "success" or "return 0.96 (chance −0.5, best 1)"."""
    from lukasa import envs

    known = envs.ENVIRONMENTS.get(experiment.env)
    if known and known.score_unit == "success rate":
        score = envs.episode_score(experiment.env, episode.episode_return, episode.info)
        return "success" if score else "failure"
    total = episode.episode_return
    reached = f"return {total:.2f}" if abs(total) < 100 else f"return {total:,.0f}"
    scale = f" (chance {known.chance:g}, best {known.best:g})" if known else ""
    return (reached + scale).replace("-", "−")


PICTURES = Pictures(PlotOptions, plot_details)
"""What is drawn of an agent."""
