"""What an agent is made of, as values of JSON; and the agent's network, built of it.

A core of one's own is imported only when the program that loads a file asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from torch import Tensor, nn

from lukasa import memory
from lukasa.agents.policy.actions import ActionLayout
from lukasa.agents.policy.network import PolicyNetwork, policy_head
from lukasa.agents.policy.q_head import QHead
from lukasa.agents.policy.settings import MemorySettings
from lukasa.agents.portable.space_records import from_record, to_record
from lukasa.ground.registry import is_own

POLICY, VALUES = "policy", "action values"
"""Kinds of head: logits, means and deviations of a policy; or the value of each of some actions."""


@dataclass(frozen=True)
class Blueprint:
    """An agent without its weights.

    Attributes:
        observation_space: of ``lukasa.ground.spaces``.
        action_space: likewise.
        settings: fields of ``MemorySettings``.
        head: its kind, and with "action values" whether it is ``dueling`` and the ``epsilon`` of its draws.
        actions: whether the bounds of real numbers are reached at -1 and 1 (``normalize``), or numbers beyond them are
            clipped (``clip``).
    """

    observation_space: Any
    action_space: Any
    settings: dict[str, Any]
    head: dict[str, Any]
    actions: dict[str, bool]

    def to_record(self) -> dict[str, Any]:
        """As values of JSON."""
        spaces = {name: to_record(getattr(self, name)) for name in ("observation_space", "action_space")}
        return {**spaces, "settings": self.settings, "head": self.head, "actions": self.actions}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Blueprint:
        """What ``to_record`` gave; of anything else nearly anything is raised."""
        spaces = {name: from_record(record[name]) for name in ("observation_space", "action_space")}
        return cls(**spaces, **{name: dict(record[name]) for name in ("settings", "head", "actions")})

    @property
    def core(self) -> str:
        """Name or import path of the core."""
        return str(self.settings.get("core", "gru"))

    def own_code(self) -> list[str]:
        """Import paths of what is not of this project: the core, or something in its options."""
        return [word for word in _words([self.core, self.settings.get("core_options", {})]) if is_own(word)]

    def build(self, core: type[memory.Core] | None = None) -> Network:
        """The network, with weights yet to be loaded.

        Args:
            core: to build in place of the one that is named.
        """
        known = {one.name for one in fields(MemorySettings)}
        given = {name: value for name, value in self.settings.items() if name in known}
        if core is None:
            return Network(self, MemorySettings(**given), None)
        own = given.pop("core_options", {})
        settings = MemorySettings(**{**given, "core": "gru"})
        built: Any = core
        return Network(self, settings, lambda width, **found: built(width, settings.output_size, **own | found))


class Network(nn.Module):
    """Encoder, core and head, as they act.

    Args:
        blueprint: what to build.
        settings: of the network.
        build_core: makes the core for inputs of a width; that of the settings when None.
    """

    def __init__(self, blueprint: Blueprint, settings: MemorySettings, build_core: Any):
        super().__init__()
        spaces = (blueprint.observation_space, blueprint.action_space)
        self.net = PolicyNetwork(*spaces, settings, build_core)
        layout = ActionLayout(blueprint.action_space)
        if blueprint.head["kind"] == POLICY:
            self.policy_head: nn.Module = policy_head(settings, layout.logits)
        elif blueprint.head["kind"] == VALUES:
            width = settings.output_size
            self.policy_head = QHead(width, layout.options[0], dueling=bool(blueprint.head["dueling"]))
        else:
            raise ValueError(f"head {blueprint.head['kind']!r}")

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take weights and moments over; a ``RuntimeError`` says which do not fit."""
        self.load_state_dict(dict(tensors), strict=True)


def _words(value: Any) -> Iterator[str]:
    """Every text in nested values, names included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, one in value.items():
            yield from _words(name)
            yield from _words(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _words(one)
