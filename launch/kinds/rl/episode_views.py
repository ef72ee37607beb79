"""An episode that was played, as a view: frames, observations, actions, rewards, the core, and the gradient.

Dimensions: T steps, D input width, C chosen outputs, K output width of the core, L numbers that the policy puts out.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lukasa import envs
from lukasa.agents.policy.actions import ActionLayout
from lukasa.agents.policy.network import PolicyNetwork
from lukasa.agents.policy.q_head import QHead
from lukasa.agents.sequence import evaluation_mode, log_odds
from lukasa.ground.mistakes import UserError
from lukasa.launch.kinds.rl.videos import make_filmed
from lukasa.launch.pictures.observation_panels import episode_panels, fixed_lag
from lukasa.launch.views.core_tracks import core_view
from lukasa.launch.views.gradients import output_gradients
from lukasa.launch.views.tracks import films_of, tracks_of
from lukasa.launch.views.view import Film, View
from lukasa.launch.views.watching import core_inputs, watch


@dataclass(frozen=True)
class PlayedEpisode:
    """An episode, and who played it.

    Attributes:
        episode: as ``lukasa.agents.rllib.rollout`` gives it.
        env: where it was played.
        net: encoder and core.
        head: from features to what actions are chosen by.
        inputs: of the core, [T, D].
        frames: what the environment rendered before each step; empty where it cannot.
    """

    episode: Any
    env: Any
    net: PolicyNetwork
    head: Any
    inputs: Tensor
    frames: Sequence[np.ndarray]


def play_watched(
    net: PolicyNetwork, head: Any, env_id: str, settings: Mapping[str, Any], play: Callable[[Any], Any]
) -> PlayedEpisode:
    """Play an episode before a camera, where the environment has one, and keep what the core is given.

    Args:
        net: encoder and core.
        head: of the policy.
        env_id: of the environment.
        settings: of it.
        play: plays one episode in the environment that it is given.
    """
    try:
        with warnings.catch_warnings():  # of render modes that an environment does not have
            warnings.simplefilter("ignore")
            filmed = make_filmed(env_id, settings)
        with core_inputs(net.core) as inputs:
            episode = play(filmed)
        return PlayedEpisode(episode, filmed.env, net, head, torch.cat(inputs), filmed.frames)
    except (UserError, envs.EnvironmentFailedError):
        pass  # it cannot be seen, or fails anyhow, which the second try says
    env = envs.make(env_id, **settings)
    with core_inputs(net.core) as inputs:
        episode = play(env)
    return PlayedEpisode(episode, env, net, head, torch.cat(inputs), ())


def episode_view(played: PlayedEpisode, *, title: str, subtitle: str, gradients: int) -> View:
    """The view of an episode.

    Args:
        played: the episode.
        title: whose it is.
        subtitle: which.
        gradients: outputs to differentiate.
    """
    episode, core = played.episode, played.net.core
    panels = episode_panels(played.env, episode)
    with evaluation_mode(core):
        seen = core_view(watch(core, played.inputs), fixed_lag(played.env))
    films = films_of(panels)
    if len(played.frames) >= episode.length:
        films.insert(0, Film("environment", np.stack(played.frames[: episode.length])))
    found, notes = _gradients(played, gradients)
    with suppress(Exception):
        played.env.close()
    return View(
        title=title,
        subtitle=subtitle,
        steps=episode.length,
        tracks=[*tracks_of(panels), *seen.tracks],
        films=[*films, *seen.films],
        texts={"return so far": [f"{total:.4g}" for total in np.cumsum(episode.rewards)]},
        words=seen.words,
        links=seen.links,
        gradients=found,
        notes=[*seen.notes, *notes],
    )


def _gradients(played: PlayedEpisode, count: int) -> tuple[Any, list[str]]:
    if not count:
        return None, []
    if type(played.net).features is not PolicyNetwork.features or not isinstance(played.head, torch.nn.Module):
        return None, ["no gradient: this agent chooses its actions by more than a core and a head"]
    readout, stands = readout_of(played.head, played.env.action_space)
    steps = range(played.episode.length)
    return output_gradients(played.net.core, played.inputs, readout, steps, count, stands)


def readout_of(head: torch.nn.Module, space: Any) -> tuple[Callable[[Tensor], Tensor], str]:
    """From outputs of the core [C, K] to the number [C] that stands for the action that the agent prefers.

    Args:
        head: of the policy.
        space: of the actions.

    Returns:
        The function, and what it is in words.
    """
    options = ActionLayout(space).options

    def readout(outputs: Tensor) -> Tensor:
        put_out = head(torch.tanh(outputs))
        if isinstance(head, QHead):
            return put_out.amax(-1)
        logits = put_out[:, : sum(options)].split(list(options), -1)
        numbers = put_out[:, sum(options) :]
        means = numbers[:, : numbers.shape[1] // 2].sum(-1)
        return sum((log_odds(part) for part in logits if part.shape[1] > 1), means)

    if isinstance(head, QHead):
        return readout, "the value of the best action"
    of = ["the log odds of the likeliest action"] if options else []
    return readout, " plus ".join(of or ["the mean of the action"])
