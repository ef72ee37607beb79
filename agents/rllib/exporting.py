"""A trained agent of RLlib as one file that plays without RLlib."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray.rllib.connectors.module_to_env import NormalizeAndClipActions

from lukasa.agents.portable.agent import OF_RUN, write_agent
from lukasa.agents.portable.blueprint import POLICY, VALUES, Blueprint
from lukasa.agents.rllib.actions import DecodeActions
from lukasa.agents.rllib.module import MemoryRLModule
from lukasa.agents.rllib.rollout import Player, player_of
from lukasa.agents.rllib.sampling_path import TO_ENV, TO_MODULE_LOOKING_BACK

PARTS = ("net.", "policy_head.")
"""How the names of the weights begin that an agent acts with."""


class NotExportableError(ValueError):
    """An agent that cannot be written to a file; the message says why."""


def export_agent(
    agent: Any, path: str | Path, about: Mapping[str, Any] | None = None, run: Mapping[str, Any] | None = None
) -> None:
    """Write an agent to a file for ``lukasa.agents.load_agent``.

    Args:
        agent: as in ``rollout``: an algorithm, the directory of a checkpoint, or a module.
        path: of the file; it is written whole or not at all.
        about: where it came from, in values of JSON.
        run: what else is known of its run, in values of JSON; all weights are written then, also those that only
            training needs, with ``OF_RUN`` before their names.

    Raises:
        NotExportableError: it acts by more than its network and the connectors of a memory agent.
        ValueError: as ``rollout`` raises.
    """
    player = player_of(agent)
    module = player.module
    state = module.state_dict()
    weights = {name: tensor for name, tensor in state.items() if name.startswith(PARTS)}
    of_run = {OF_RUN + name: tensor for name, tensor in state.items() if name not in weights} if run else {}
    values = {"core": module.net.settings.core, **(about or {})}
    write_agent(path, blueprint_of(player), weights, values, dict(run) if run else None, of_run)


def blueprint_of(player: Player) -> Blueprint:
    """What the agent of a player is made of.

    Raises:
        NotExportableError: as ``export_agent``.
    """
    module = player.module
    form = _form_of_actions(player)
    return Blueprint(
        observation_space=player.env_to_module.input_observation_space,
        action_space=module.action_space,
        settings=module.net.settings.to_dict(),
        head=_head(module),
        actions={"normalize": bool(form.normalize_actions), "clip": bool(getattr(form, "clip_actions", False))},
    )


def _head(module: MemoryRLModule) -> dict[str, Any]:
    from lukasa.agents.rllib.replay.q_module import MemoryQModule

    if type(module) is MemoryRLModule:
        return {"kind": POLICY}
    if type(module) is MemoryQModule:
        dueling = bool(module.model_config.get("dueling", True))
        return {"kind": VALUES, "dueling": dueling, "epsilon": float(module.epsilon)}
    raise NotExportableError(
        f"an agent of {type(module).__name__} cannot be exported: it acts by more than an encoder, a core and a head"
    )


def _form_of_actions(player: Player) -> Any:
    known = {*TO_MODULE_LOOKING_BACK, *TO_ENV[0], *TO_ENV[1]}
    pieces = [*player.env_to_module.connectors, *player.module_to_env.connectors]
    for piece in pieces:
        if type(piece) not in known:
            raise NotExportableError(
                f"an agent with the connector {type(piece).__name__} cannot be exported: what it does to observations "
                "or actions would be missing; leave it out, or do the same in a wrapper of the environment"
            )
    return next(piece for piece in pieces if isinstance(piece, DecodeActions | NormalizeAndClipActions))
