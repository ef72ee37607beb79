"""Connector pieces for many agents: those of ``lukasa.agents.rllib.connectors``, with a state for each agent.

On the runner all agents of a policy that act in a step are rows of one batch, other rows in each step. On the learner
the fragments of an episode hold what each of its agents did.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from ray.rllib.connectors.connector_v2 import ConnectorV2
from ray.rllib.core.columns import Columns
from ray.rllib.env.multi_agent_episode import MultiAgentEpisode
from ray.rllib.env.single_agent_episode import SingleAgentEpisode

from lukasa.agents.policy.actions import ActionLayout
from lukasa.agents.rllib.journal import padded
from lukasa.agents.rllib.many_agents.logs import AgentJournal, AgentLog, AgentLogs, Shown
from lukasa.agents.rllib.module import (
    EPISODE_START,
    LIVE_STATES,
    PREVIOUS_ACTION,
    PREVIOUS_REWARD,
    MemoryRLModule,
)
from lukasa.agents.rllib.state_log import PackedState

ROWS = "memorized_map_structure"
"""Key of RLlib's shared data: by policy, the (episode id, agent id) of each row of its batch."""


class StashStates(ConnectorV2):
    """Module to environment, first piece: take the next states out of the batch and give each to its agent's log."""

    def __call__(
        self,
        *,
        rl_module: Any,
        batch: dict[str, Any],
        episodes: list[Any],
        shared_data: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Move the states; note which slots of a sparse memory the step chose."""
        assert shared_data is not None
        by_id = {episode.id_: episode for episode in episodes}
        for policy, columns in batch.items():
            if memory_module(rl_module, policy) is None:
                continue
            states = columns.pop(Columns.STATE_OUT)
            for row, (episode_id, agent) in enumerate(shared_data[ROWS][policy]):
                episode = by_id[episode_id]
                log = AgentLogs.of(episode)[agent]
                if isinstance(log, AgentJournal):
                    live = log.state = states[LIVE_STATES][row]
                    log.note(episode.agent_episodes[agent].t, live.step, 0)
                else:
                    log.state = ({name: part for name, part in states.items() if name != EPISODE_START}, row)
        return batch


class FeedStates(ConnectorV2):
    """Environment to module, last piece: feed each agent's state back, and keep the keyframes of its steps."""

    def __call__(
        self,
        *,
        rl_module: Any,
        batch: dict[str, Any],
        episodes: list[Any],
        shared_data: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Add ``STATE_IN`` to the columns of each policy that acts in this step.

        Raises:
            RuntimeError: an agent acted before but its policy was not asked for that action.
        """
        assert shared_data is not None
        by_id = {episode.id_: episode for episode in episodes}
        modules = {policy: memory_module(rl_module, policy) for policy in rl_module.keys()}  # noqa: SIM118
        chunks = {policy: one.model_config["max_seq_len"] for policy, one in modules.items() if one}
        for episode in episodes:
            AgentLogs.of(episode).let_go(episode, chunks)
        for policy, columns in batch.items():
            module = modules[policy]
            if module is not None:
                rows = [(by_id[episode], agent) for episode, agent in shared_data[ROWS][policy]]
                columns[Columns.STATE_IN] = _fed(module, rows)
        return batch


def _fed(module: MemoryRLModule, rows: list[tuple[MultiAgentEpisode, Any]]) -> dict[str, Any]:
    """The state of each row, followed by the log of its agent."""
    played = [episode.agent_episodes[agent] for episode, agent in rows]
    kind = AgentJournal if module.net.sparse else AgentLog
    logs = [AgentLogs.of(episode).setdefault(agent, kind()) for episode, agent in rows]
    starts = [one.t == 0 for one in played]
    if any(log.state is None and not start for log, start in zip(logs, starts, strict=True)):
        raise RuntimeError("the memory state of running episodes is lost: memory agents cannot act at random")
    device = next(module.parameters()).device
    fed: dict[str, Any] = {EPISODE_START: torch.tensor(starts, device=device)}
    if module.net.sparse:
        live = fed[LIVE_STATES] = [None if start else log.state for log, start in zip(logs, starts, strict=True)]
        followed: list[Any] = [(one, 0) for one in live]
    else:
        states = _stacked(module, [None if start else log.state for log, start in zip(logs, starts, strict=True)])
        fed |= {name: part.to(device) for name, part in states.items()}
        followed = [(states, row) for row in range(len(rows))]
    chunk = module.model_config["max_seq_len"]
    for log, one, (state, row) in zip(logs, played, followed, strict=True):
        log.follow(one.t, state, row)
        if (one.t - one.t_started) % chunk == 0:
            log.keep()
    return fed


def _stacked(module: MemoryRLModule, states: list[Any]) -> dict[str, torch.Tensor]:
    """One batch of tensors out of rows of others; initial where there is none."""
    tensors = {name: torch.as_tensor(part) for name, part in module.get_initial_state().items()}
    initial = {name: part for name, part in tensors.items() if name != EPISODE_START}
    sources = {id(state[0]): state[0] for state in states if state is not None}
    if len(sources) == 1 and None not in states:
        (source,) = sources.values()
        rows = torch.tensor([row for _, row in states])
        return {name: source[name].index_select(0, rows.to(source[name].device)) for name in initial}
    return {
        name: torch.stack([part if state is None else state[0][name][state[1]].to(part.device) for state in states])
        for name, part in initial.items()
    }


class RebuildStates(ConnectorV2):
    """Learner: the state of each agent at the start of each chunk of its steps, in place of ``RebuildStateIn``."""

    def __call__(self, *, rl_module: Any, batch: dict[str, Any], episodes: list[Any], **kwargs: Any) -> Any:
        """Add ``STATE_IN``, one state a chunk.

        Raises:
            RuntimeError: a fragment lacks the keyframe of one of its chunks.
        """
        rebuilt: dict[Any, list[tuple[SingleAgentEpisode, list[PackedState]]]] = {}
        for played, log in agents_of(episodes):
            module = memory_module(rl_module, played.module_id)
            if module is not None:
                rebuilt.setdefault(played.module_id, []).append((played, _states(module, played, log)))
        for policy, rows in rebuilt.items():
            module = memory_module(rl_module, policy)
            for played, states in padded(rows) if module and module.net.sparse else rows:
                self.add_n_batch_items(batch, Columns.STATE_IN, states, len(states), played)
        return batch


def _states(module: MemoryRLModule, played: SingleAgentEpisode, log: Any) -> list[PackedState]:
    initial, chunk = module.get_initial_state(), module.model_config["max_seq_len"]
    steps = range(played.t_started, played.t_started + len(played), chunk)
    if not module.net.sparse:
        log = log or AgentLog()
        return [{**log.at(t), EPISODE_START: np.array(False)} if t else initial for t in steps]
    log = log or AgentJournal()
    states = zip(steps, log.states(steps, initial), strict=True)
    return [{**state, **log.choices(t, chunk), EPISODE_START: np.array(t == 0)} for t, state in states]


class AddPreviousSteps(ConnectorV2):
    """Runner and learner: the action and reward of each agent's step before, where its policy asks for them."""

    def __init__(
        self, input_observation_space: Any = None, input_action_space: Any = None, *, as_learner_connector: bool = False
    ):
        super().__init__(input_observation_space, input_action_space, as_learner_connector=as_learner_connector)
        self.as_learner_connector = as_learner_connector

    def __call__(self, *, rl_module: Any, batch: dict[str, Any], episodes: list[Any], **kwargs: Any) -> Any:
        """Add the columns that each policy's settings ask for."""
        if self.as_learner_connector:
            for played, log in agents_of(episodes):
                for column, steps in _learned(rl_module, played, log).items():
                    self.add_n_batch_items(batch, column, steps, len(played), played)
            return batch
        for episode in episodes:
            logs = AgentLogs.of(episode)
            for agent in episode.get_agents_that_stepped():
                played = episode.agent_episodes[agent]
                module = memory_module(rl_module, played.module_id)
                if module is None:
                    continue
                shown = {column: steps[-1] for column, steps in _previous(module, played, len(played) - 1).items()}
                log = logs.setdefault(agent, AgentJournal() if module.net.sparse else AgentLog())
                log.shown = shown
                for column, step in shown.items():
                    self.add_batch_item(batch, column, step, played)
        return batch


def _learned(rl_module: Any, played: SingleAgentEpisode, log: Any) -> dict[str, np.ndarray]:
    """The columns of all steps of a fragment; the first of one that acted before is in its log."""
    module = memory_module(rl_module, played.module_id)
    if module is None:
        return {}
    first: Shown = log.first_shown if log and played.t_started else {}
    columns = {}
    for column, steps in _previous(module, played, 0, len(played) - 1).items():
        if played.t_started and column not in first:
            raise RuntimeError(
                f"an episode fragment of agent {played.agent_id!r} came without the step before its first one, which "
                "previous_action and previous_reward need: it was sampled without the memory connectors"
            )
        before = first[column][None] if column in first else steps[:1]
        columns[column] = np.concatenate([before, steps[1:]])
    return columns


def _previous(
    module: MemoryRLModule, played: SingleAgentEpisode, first: int, last: int | None = None
) -> dict[str, np.ndarray]:
    """What was done and earned from step ``first`` to ``last``: float32 [1 + steps, width], the first row of zeros."""
    settings, columns = module.net.settings, {}
    window = slice(max(first, 0), len(played) if last is None else last)
    if settings.previous_action:
        layout = ActionLayout(module.action_space)
        taken = np.asarray(played.get_actions(window))
        shown = np.zeros((1 + len(taken), layout.width), np.float32)
        if len(taken):
            shown[1:] = layout.one_hot(taken.reshape(len(taken), -1))
        columns[PREVIOUS_ACTION] = shown
    if settings.previous_reward:
        earned = np.asarray(played.get_rewards(window), np.float32)
        columns[PREVIOUS_REWARD] = np.concatenate([[0.0], earned]).astype(np.float32)[:, None]
    return columns


def agents_of(episodes: list[MultiAgentEpisode]) -> Iterator[tuple[SingleAgentEpisode, Any]]:
    """What each agent did in each episode, and its log, in the order of RLlib's own pieces."""
    for episode in episodes:
        logs = AgentLogs.of(episode)
        for agent in episode.agent_ids:
            yield episode.agent_episodes[agent], logs.get(agent)


def memory_module(rl_module: Any, policy: Any) -> MemoryRLModule | None:
    """The module of a policy, out of a wrapper for several learners; None where it carries nothing.

    Raises:
        RuntimeError: it carries a state that is not a memory of ours.
    """
    module = rl_module[policy].unwrapped()
    if isinstance(module, MemoryRLModule):
        return module
    if module.is_stateful():
        raise RuntimeError(
            f"policy {policy!r} has a module of class {type(module).__name__}, which carries a state of its own kind: "
            "beside memory agents use MemoryRLModule, or modules without a state"
        )
    return None
