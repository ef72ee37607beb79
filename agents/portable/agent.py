"""The agent that plays from its file.

Legend: n sessions side by side.
"""

from __future__ import annotations

import secrets
from numbers import Integral
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from torch import Tensor

from lukasa import memory
from lukasa.agents.policy.actions import ActionLayout, is_plain
from lukasa.agents.policy.masks import ACTION_MASK
from lukasa.agents.portable import agent_file, drawing
from lukasa.agents.portable.agent_file import AgentFileError
from lukasa.agents.portable.blueprint import VALUES, Blueprint, Network
from lukasa.agents.portable.observing import side_by_side, with_time
from lukasa.agents.portable.sessions import Session, SessionError, Sessions, restored
from lukasa.agents.portable.slabs import Slab
from lukasa.ground.conforming import earned
from lukasa.ground.spaces import kind
from lukasa.memory.states import state_leaves

FORMAT = "lukasa agent 1"

OF_RUN = "run."
"""How the names of weights begin that the agent does not play with; training that begins with it needs them."""


class Agent:
    """Observations and sessions to actions and sessions; ``load_agent`` makes one.

    The agent itself remembers nothing of an episode: what is remembered is in the sessions.

    Attributes:
        observation_space, action_space: of one player, of ``lukasa.ground.spaces``.
        about: where it came from: recipe, environment, run, checkpoint and versions.
        fingerprint: equal for agents of the same file alone.
        explore: whether actions are drawn rather than the likeliest ones taken.
    """

    def __init__(
        self,
        blueprint: Blueprint,
        network: Network,
        about: dict[str, Any],
        fingerprint: str,
        *,
        explore: bool,
        seed: int | None,
    ):
        self.blueprint, self.network, self.about, self.fingerprint = blueprint, network.eval(), about, fingerprint
        self.observation_space, self.action_space = blueprint.observation_space, blueprint.action_space
        self.explore = explore
        self.layout = ActionLayout(self.action_space)
        self._settings = network.net.settings
        self._plain = is_plain(self.action_space)
        initial = self.core.initial_state(1)
        self.sparse = any(not isinstance(part, Tensor) for _, part in state_leaves(initial))
        self._seed = np.uint64(secrets.randbits(64) if seed is None else seed % 2**64)
        self._begun = 0

    @property
    def core(self) -> memory.Core:
        """The memory core."""
        return self.network.net.core

    @property
    def name(self) -> str:
        """What it is, in a few words."""
        return f"{self.about.get('core', self.blueprint.core)} on {self.about.get('env', 'an environment')}"

    @overload
    def begin(self) -> Session: ...

    @overload
    def begin(self, count: int) -> Sessions: ...

    def begin(self, count: int | None = None) -> Session | Sessions:
        """A new session, whose first observation begins an episode; or so many side by side."""
        if count is not None and (isinstance(count, bool) or not isinstance(count, Integral) or count < 0):
            raise SessionError(f"{count} sessions were asked for: expected a whole number, 0 or more")
        n = 1 if count is None else count
        with torch.no_grad():
            state = memory.detach_state(self.core.initial_state(n))
        keys = drawing.mixed(self._seed + np.arange(self._begun, self._begun + n, dtype=np.uint64) * drawing.STEP)
        self._begun += n
        width = self.layout.width if self._settings.previous_action else 0
        slab = Slab(state, np.zeros((n, width), np.float32), np.zeros(n, np.int64), keys)
        return Session(self, slab, 0) if count is None else Sessions(self, slab)

    @overload
    def act(self, observation: Any, session: Session | None = None, reward: Any = None) -> tuple[Any, Session]: ...

    @overload
    def act(
        self, observation: Any, session: Sessions | list[Session | None], reward: Any = None
    ) -> tuple[Any, Sessions]: ...

    def act(self, observation: Any, session: Any = None, reward: Any = None) -> tuple[Any, Session | Sessions]:
        """The next action, as the environment takes it, and the session to go on with.

        Args:
            observation: what the environment shows. With several sessions a list of as many, or all of them batched, as
                Gymnasium's vector environments give them.
            session: what the step before returned; None where an episode begins. Several as ``begin(n)`` gives them, or
                a list, in which None begins one.
            reward: what came with the observation; needed by agents that were trained with ``previous_reward``, and
                nothing at the start of an episode. With several sessions n numbers.

        Returns:
            The action, inside ``action_space``, and the session. With several sessions the actions are batched, as
            vector environments take them.

        Raises:
            ObservationError: an observation is none of ``observation_space``.
            SessionError: a session is of another agent or was used before, or there are not as many as observations.
        """
        given: Any = session
        single = session is None or isinstance(session, Session)
        if single:
            one = self.begin() if session is None else session
            sessions = Sessions(one.agent, one.slab, np.array([one.row]))
        else:
            sessions = session if isinstance(session, Sessions) else Sessions.of(self, given)
        if sessions.agent is not self and sessions.agent.fingerprint != self.fingerprint:
            raise SessionError(
                f"this session is of another agent ({sessions.agent.name}) than {self.name}: begin one of its own"
            )
        arrays, count = side_by_side(self.observation_space, [observation] if single else observation)
        if count != len(sessions):
            raise SessionError(f"{count} observations were given with {len(sessions)} sessions: expected as many")
        if not count:
            return self._for_env(np.zeros((0, len(self.layout.options) + self.layout.numbers))), sessions
        actions, after = self._step(arrays, sessions, reward)
        if single:
            return _first(self.action_space, actions), after[0]
        return actions, after

    def restore(self, source: bytes | str | Path) -> Any:
        """The ``Session`` or ``Sessions`` that were saved: bytes, or the name of a file.

        Raises:
            AgentFileError: it is none, cut short or altered.
            SessionError: it is of another agent.
        """
        return restored(self, source)

    def without(self, part: str) -> Agent:
        """The same agent with a part of what it carries wiped before every step, to see what that part is for.

        Args:
            part: "memory", "controller" or "both".

        Raises:
            ValueError: there is no such part, or the core carries nothing in it.
        """
        network = Network.__new__(Network)
        torch.nn.Module.__init__(network)
        network.net, network.policy_head = _sharing(self.network.net), self.network.policy_head
        network.net.core = memory.without(self.core, part)
        fingerprint = f"{self.fingerprint} without {part}"
        seed = int(self._seed)
        return Agent(self.blueprint, network, self.about, fingerprint, explore=self.explore, seed=seed)

    @torch.no_grad()
    def _step(self, arrays: Any, sessions: Sessions, reward: Any) -> tuple[Any, Sessions]:
        slab = sessions.together()
        action = torch.from_numpy(slab.action).unsqueeze(1) if self._settings.previous_action else None
        rewards = self._rewards(reward, slab) if self._settings.previous_reward else None
        mask = self.network.net.mask
        if mask is not None and mask.empty(arrays[ACTION_MASK]).any():
            row = int(np.argmax(mask.empty(arrays[ACTION_MASK])))
            raise ValueError(f"the action_mask of observation {row} allows no action: allow at least one")
        seen = with_time(self.observation_space, arrays)
        inputs = self.network.net.inputs(seen, action, rewards)
        slab.spent = self.sparse
        features, state = self.network.net.features(inputs, slab.state)
        outputs = self.network.net.masked(self.network.policy_head(features), seen)
        flat = self._flat(outputs[:, 0], slab)
        shown = self.layout.one_hot(flat) if self._settings.previous_action else slab.action
        after = Slab(state, shown, slab.steps + 1, slab.keys)
        return self._for_env(flat), Sessions(self, after)

    def _rewards(self, reward: Any, slab: Slab) -> Tensor:
        """What came with the observations, [n, 1, 1]; zero where an episode begins."""
        running = slab.steps > 0
        if reward is None and running.any():
            raise SessionError(
                "this agent was trained with previous_reward: give the reward that came with the observation, "
                "act(observation, session, reward)"
            )
        try:
            given = earned(reward, running)
        except ValueError as error:
            raise SessionError(str(error)) from None
        return torch.from_numpy(given).view(-1, 1, 1)

    def _flat(self, outputs: Tensor, slab: Slab) -> np.ndarray:
        head = self.blueprint.head
        if head["kind"] == VALUES:
            if self.explore:
                return drawing.greedy_or_any(outputs, float(head["epsilon"]), slab.keys, slab.steps)
            return outputs.argmax(-1, keepdim=True).to(outputs.dtype).numpy()
        if self.explore:
            return drawing.drawn(self.layout, outputs, slab.keys, slab.steps)
        return drawing.likeliest(self.layout, outputs)

    def _for_env(self, flat: np.ndarray) -> Any:
        """Flat actions [n, C + R] as vector environments take them."""
        how = self.blueprint.actions
        if not self._plain or kind(self.action_space) != "Box":
            return self.layout.decode(flat, normalized=how["normalize"])
        space, flat = self.action_space, flat.astype(np.float32)
        if how["normalize"] and space.is_bounded():
            # as RLlib computes it, in its order
            flat = np.clip(space.low + (flat + 1.0) * (space.high - space.low) / 2.0, space.low, space.high)
        elif how["clip"] and not how["normalize"]:
            flat = np.clip(flat, space.low, space.high)
        return flat.astype(space.dtype)


def load_agent(
    path: str | Path,
    *,
    explore: bool = False,
    seed: int | None = None,
    trust_core: bool = False,
    core: type[memory.Core] | None = None,
) -> Agent:
    """The agent in a file that ``lukasa export`` wrote; torch and numpy are all it needs.

    Nothing in the file is run. An agent whose core is not of this project names it by import path: it is imported only
    if the caller says so.

    Args:
        path: the file.
        explore: draw the actions, as in training, rather than take the likeliest.
        seed: makes the drawn actions repeat, for sessions that are begun in the same order.
        trust_core: import the core that the file names.
        core: the class of a core of one's own, in place of the one that is named.

    Raises:
        AgentFileError: the file holds no agent, was cut short or altered, or its core is not available.
    """
    about, tensors, fingerprint = agent_file.read(path, FORMAT, "agent")
    try:
        blueprint = Blueprint.from_record(about["agent"])
        own = blueprint.own_code()
    except Exception as error:  # values of another version, or of nobody's
        raise AgentFileError(
            f"{path} describes an agent that this version of lukasa does not know ({_said(error)}): it was written by "
            f"{_writer(about)}"
        ) from None
    missing = [word for word in own if core is None or word != blueprint.core]
    if missing and not trust_core:
        raise AgentFileError(
            f"{path} needs code that is not of lukasa, {missing[0]}: if you trust it, load_agent(..., trust_core=True) "
            "imports it; or give the class of the core, core=..."
        )
    try:
        network = blueprint.build(core)
    except Exception as error:  # a core of one's own raises nearly anything
        raise AgentFileError(f"the core of {path}, {blueprint.core}, cannot be built: {_said(error)}") from None
    try:
        network.load({name: tensor for name, tensor in tensors.items() if not name.startswith(OF_RUN)})
    except RuntimeError as error:
        raise AgentFileError(f"the weights in {path} do not fit the agent that it describes: {_said(error)}") from None
    return Agent(blueprint, network, dict(about.get("about", {})), fingerprint, explore=explore, seed=seed)


def write_agent(
    path: str | Path,
    blueprint: Blueprint,
    tensors: dict[str, Tensor],
    about: dict[str, Any],
    run: dict[str, Any] | None = None,
    of_run: dict[str, Tensor] | None = None,
) -> None:
    """Write an agent to a file, whole or not at all.

    Args:
        path: of the file.
        blueprint: what it is made of.
        tensors: weights and moments, named as in ``Network``.
        about: where it came from, in values of JSON.
        run: what else is known of its run, in values of JSON.
        of_run: tensors that belong to that, whose names begin with ``OF_RUN``.
    """
    blueprint.build().load(tensors)  # what could not be loaded is not written
    values = {"agent": blueprint.to_record(), "about": about} | ({"run": run} if run else {})
    agent_file.write(path, FORMAT, values, {**tensors, **(of_run or {})})


def _sharing(net: Any) -> Any:
    """A module with the same parts, of which one can be exchanged."""
    kind: Any = type(net)
    twin = kind.__new__(kind)
    twin.__dict__.update(net.__dict__)
    twin._modules = dict(net._modules)
    return twin


def _first(space: Any, actions: Any) -> Any:
    if kind(space) == "Dict":
        return {name: _first(part, actions[name]) for name, part in space.items()}
    if kind(space) == "Tuple":
        return tuple(_first(part, one) for part, one in zip(space, actions, strict=True))
    return actions[0]


def _said(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__


def _writer(about: dict[str, Any]) -> str:
    versions = about.get("about", {}).get("versions", {}) if isinstance(about.get("about"), dict) else {}
    return f"lukasa {versions['lukasa']}" if isinstance(versions, dict) and "lukasa" in versions else "another version"
