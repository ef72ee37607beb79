"""``lukasa view`` of an agent: an episode, step by step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lukasa.launch.kinds.kind import Views
from lukasa.launch.kinds.rl.experiment import RLExperiment
from lukasa.launch.kinds.rl.pictures import score_of
from lukasa.launch.options.bounds import check_least
from lukasa.launch.runs.directory import Run


@dataclass(frozen=True)
class ViewOptions:
    """Write a page to step through an episode: frames, observations, actions, rewards, the memory, and the gradient.

    Attributes:
        out: file of the page; plots/view.html of the run by default.
        checkpoint: which agent plays the episode: best, last, or a name.
        seed: seed of the episode; the same as in lukasa plot.
        env_settings: play in the environment with other settings than in training, as NAME VALUE pairs: corridor 70.
        steps: cut the episode off after so many steps; 10,000 by default, or the environment's own limit if larger.
        gradients: outputs whose gradient is found, spread over the episode; 0 for none.
    """

    out: str | None = None
    checkpoint: str = "best"
    seed: int = 1_000_000
    env_settings: dict[str, Any] = field(default_factory=dict)
    steps: int | None = None
    gradients: int = 32


def view_episode(run: Run, experiment: RLExperiment, options: ViewOptions) -> Any:
    """Let the agent play one episode; returns its view.

    Raises:
        UserError: there is no such checkpoint, there are several agents, or an option cannot be used.
    """
    from lukasa.launch.views.gradients import check_gradients

    check_least(options, steps=1)
    check_gradients(options.gradients)
    from lukasa.agents.rllib import rollout
    from lukasa.launch.kinds.rl.agent_episodes import ShownEpisodes, with_settings
    from lukasa.launch.kinds.rl.episode_views import episode_view, play_watched
    from lukasa.launch.kinds.rl.evaluation import load_agent
    from lukasa.launch.ray.quiet import quiet_libraries

    agent = load_agent(run, experiment, options.checkpoint)
    experiment = with_settings(experiment, options.env_settings)
    asked: dict[str, Any] = {"seed": options.seed, "max_steps": options.steps, "progress": ShownEpisodes(1)}
    with quiet_libraries():
        played = play_watched(
            agent.module.net,
            agent.module.policy_head,
            experiment.env,
            experiment.env_settings,
            lambda env: rollout(agent.module, env, 1, **asked)[0],
        )
        return episode_view(
            played,
            title=f"{experiment.core} on {experiment.env}: {score_of(experiment, played.episode)}",
            subtitle=f"seed {options.seed} · {agent.checkpoint.name} of {run.path.name}",
            gradients=options.gradients,
        )


VIEWS = Views(ViewOptions, view_episode)
"""What a page shows of an agent."""
