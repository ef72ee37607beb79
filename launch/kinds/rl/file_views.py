"""``lukasa view`` of an agent out of its file, without Ray."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lukasa.ground.mistakes import UserError, as_user_error
from lukasa.launch.options.bounds import check_least
from lukasa.launch.options.fields import Switch


@dataclass(frozen=True)
class FileViewOptions:
    """Write a page to step through an episode of an agent out of its file.

    Attributes:
        out: file of the page; by default agent-plots/view.html in the working folder, for agent.lukasa.
        env: id of the environment; that of its training by default.
        env_settings: settings of the environment, as NAME VALUE pairs; those of its training by default.
        seed: seed of the episode; the same as in lukasa plot.
        steps: cut the episode off after so many steps; 10,000 by default, or the environment's own limit if larger.
        gradients: outputs whose gradient is found, spread over the episode; 0 for none.
        trust_core: import the core that the file names, where it is not one of lukasa's.
    """

    out: str | None = None
    env: str | None = None
    env_settings: dict[str, Any] = field(default_factory=dict)
    seed: int = 1_000_000
    steps: int | None = None
    gradients: int = 32
    trust_core: Switch = False


@dataclass(frozen=True)
class FileEpisode:
    """An episode, with the attributes of a ``lukasa.agents.rllib.RolloutEpisode`` that pictures need."""

    observations: Any
    actions: Any
    rewards: np.ndarray
    terminated: bool
    truncated: bool

    @property
    def limited(self) -> bool:
        """Whether it was cut off."""
        return not (self.terminated or self.truncated)

    @property
    def length(self) -> int:
        """Steps."""
        return len(self.rewards)


def view_file(path: Path, options: FileViewOptions) -> Any:
    """Let the agent in a file play one episode; returns its view.

    Raises:
        UserError: the file holds no agent, or an option cannot be used.
    """
    from lukasa.agents.portable import load_agent
    from lukasa.launch.kinds.rl.episode_views import episode_view, play_watched
    from lukasa.launch.views.gradients import check_gradients

    check_least(options, steps=1)
    check_gradients(options.gradients)
    with as_user_error():
        agent = load_agent(path, trust_core=options.trust_core)
    env = options.env or agent.about.get("env")
    if not isinstance(env, str):
        raise UserError(f"{path} does not say where it was trained: name an environment by --env")
    trained = agent.about.get("env_settings") if env == agent.about.get("env") else None
    settings = options.env_settings or (trained if isinstance(trained, dict) else {})
    net, head = agent.network.net, agent.network.policy_head
    with as_user_error():
        played = play_watched(net, head, env, settings, lambda env: play_episode(agent, env, options))
    total = f"{played.episode.rewards.sum():.4g}".replace("-", "−")
    return episode_view(
        played,
        title=f"{agent.name}: return {total}",
        subtitle=f"seed {options.seed} · {path.name}",
        gradients=options.gradients,
    )


def play_episode(agent: Any, env: Any, options: FileViewOptions) -> FileEpisode:
    """One episode, reset as the first of ``lukasa play`` with the same seed."""
    import tree

    from lukasa import envs
    from lukasa.launch.serving.episodes import check_spaces, play_one, step_limit

    check_spaces(agent, env)
    name = env.spec.id if env.spec else type(env.unwrapped).__name__
    seen, done = [], []

    def act(observation: Any, session: Any, reward: Any) -> tuple[Any, Any]:
        seen.append(tree.map_structure(np.copy, observation))
        action, session = agent.act(observation, session, reward)
        done.append(action)
        return action, session

    one = play_one(act, env, name, envs.stream_seed(options.seed, 0), step_limit(env, options.steps))
    observations, actions = (tree.map_structure(lambda *steps: np.stack(steps), *kept) for kept in (seen, done))
    return FileEpisode(observations, actions, np.array(one.rewards, np.float64), one.terminated, one.truncated)
