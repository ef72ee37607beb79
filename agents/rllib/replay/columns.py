"""Sequences that were drawn, as the columns of a train batch.

Legend: B batch (rows), T time, P steps before those that are learned, C slots chosen in one step.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tree
from ray.rllib.connectors.connector_v2 import ConnectorV2
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.columns import Columns

from lukasa.agents.policy.actions import ActionLayout
from lukasa.agents.rllib.connectors import single_module
from lukasa.agents.rllib.journal import changed, padded
from lukasa.agents.rllib.module import EPISODE_START, PREVIOUS_ACTION, PREVIOUS_REWARD, MemoryRLModule
from lukasa.agents.rllib.replay.buffer import NUMBER, ROW, WEIGHT
from lukasa.agents.rllib.replay.q_module import PREFIX, STARTS
from lukasa.agents.rllib.replay.sequences import Row
from lukasa.agents.rllib.slot_choices import UNKNOWN
from lukasa.agents.rllib.state_log import PackedState

LAST = "last_observation"
"""Column, int64 [B]: index of a row's last observation, counted from the first step that is learned."""
ENDED = "ended_episode"
"""Column, bool [B]: whether that observation ended the episode."""
WEIGHTS = "weights"
"""Column, float [B]: of a row in the loss."""
NUMBERS = "sequence_numbers"
"""Column, int64 [B]: whose priority is to be said."""


class ReplayColumns(ConnectorV2):
    """Learner: one row for each sequence, all of them with their first learned step at P.

    Rows are padded in front and behind. A row that is padded in front begins at an episode's start, where the memory
    is reset, so that what it did before does not matter; what is padded behind is in no loss.
    """

    def __call__(self, *, rl_module: Any, batch: dict[str, Any], episodes: list[Any], **kwargs: Any) -> Any:
        """Add all columns, those of a learner's own pieces excepted."""
        module = single_module(rl_module)
        rows = [episode.custom_data[ROW] for episode in episodes]
        columns = columns_of(rows, module)
        columns[WEIGHTS] = np.array([episode.custom_data[WEIGHT] for episode in episodes], np.float32)
        columns[NUMBERS] = np.array([episode.custom_data[NUMBER] for episode in episodes], np.int64)
        batch.setdefault(DEFAULT_MODULE_ID, {}).update(columns)
        return batch


def columns_of(rows: list[Row], module: MemoryRLModule) -> dict[str, Any]:
    """The columns of some sequences, [B, ...] or [B, T, ...]."""
    prefix = max(row.prefix for row in rows)
    length = max(len(row.rewards) - row.prefix for row in rows) + prefix + 1
    fronts = [prefix - row.prefix for row in rows]
    if any(front and row.start for front, row in zip(fronts, rows, strict=True)):
        raise RuntimeError("a sequence with a kept state is padded in front, which would move that state on")

    def aligned(parts: list[np.ndarray], fill: Any = 0) -> np.ndarray:
        """[steps, ...] of each row to [B, T, ...]."""
        column = np.full((len(parts), length, *parts[0].shape[1:]), fill, parts[0].dtype)
        for place, (front, part) in enumerate(zip(fronts, parts, strict=True)):
            column[place, front : front + len(part)] = part
        return column

    settings = module.net.settings
    columns: dict[str, Any] = {
        Columns.OBS: tree.map_structure(lambda *parts: aligned(list(parts)), *[row.observations for row in rows]),
        Columns.ACTIONS: aligned([row.actions for row in rows]),
        Columns.REWARDS: aligned([row.rewards for row in rows]),
        Columns.LOSS_MASK: aligned([_learned(row) for row in rows]),
        STARTS: aligned([_first(row) for row in rows]),
        PREFIX: np.full(len(rows), prefix),
        LAST: np.array([len(row.rewards) - row.prefix for row in rows]),
        ENDED: np.array([row.terminated for row in rows]),
        Columns.STATE_IN: _states(rows, module, fronts, length),
    }
    if settings.previous_action:
        layout = ActionLayout(module.action_space)
        columns[PREVIOUS_ACTION] = aligned([_previous_actions(row, layout) for row in rows])
    if settings.previous_reward:
        columns[PREVIOUS_REWARD] = aligned([_previous_rewards(row) for row in rows])
    return columns


def _learned(row: Row) -> np.ndarray:
    steps = np.zeros(len(row.rewards), bool)
    steps[row.prefix : row.prefix + row.learned] = True
    return steps


def _first(row: Row) -> np.ndarray:
    return np.arange(len(row.rewards)) == (0 if row.start == 0 else -1)


def _previous_actions(row: Row, layout: ActionLayout) -> np.ndarray:
    """What was done before each observation, one-hot: float32 [m + 1, width]."""
    taken = layout.one_hot(row.actions.reshape(len(row.actions), -1))
    first = np.zeros_like(taken[:1]) if row.start == 0 else layout.one_hot(_before(row)[0].reshape(1, -1))
    return np.concatenate([first, taken])


def _previous_rewards(row: Row) -> np.ndarray:
    """What was earned before each observation: float32 [m + 1, 1]."""
    first = np.zeros(1, np.float32) if row.start == 0 else _before(row)[1]
    return np.concatenate([first, row.rewards]).astype(np.float32)[:, None]


def _before(row: Row) -> tuple[np.ndarray, np.ndarray]:
    if row.before is None:
        raise RuntimeError(
            "an episode fragment came without the step before its first one, which previous_action and "
            "previous_reward need: set .env_runners(episode_lookback_horizon=1) or more"
        )
    return row.before


def _states(rows: list[Row], module: MemoryRLModule, fronts: list[int], length: int) -> dict[str, np.ndarray]:
    """The state before the first step of each row, [B, ...]."""
    initial = module.get_initial_state()
    states = [_state(row, initial) for row in rows]
    if module.net.sparse:
        chosen = [_choices(row, front, length) for row, front in zip(rows, fronts, strict=True)]
        paths = sorted({path for one in chosen for path in one})
        widths = {path: next(one[path].shape[1] for one in chosen if path in one) for path in paths}
        for state, one in zip(states, chosen, strict=True):
            for path in paths:
                nothing = np.full((length, widths[path]), UNKNOWN, np.int32)
                state[f"{path}.choices"] = one.get(path, nothing).reshape(-1)
        states = [state for _, (state,) in padded([(place, [state]) for place, state in enumerate(states)])]
    return {name: np.stack([state[name] for state in states]) for name in states[0]}


def _state(row: Row, initial: PackedState) -> PackedState:
    state = initial if row.state is None else {**initial, **row.state}
    for changes in row.changes:
        state = changed(state, changes)
    return {**state, EPISODE_START: np.array(row.start == 0)}


def _choices(row: Row, front: int, length: int) -> dict[str, np.ndarray]:
    """The slots that were chosen at each of T steps, ``UNKNOWN`` where nothing was: int32 [T, C] by path."""
    found = {}
    for path, chosen in row.choices.items():
        found[path] = np.full((length, chosen.shape[1]), UNKNOWN, np.int32)
        found[path][front : front + len(chosen)] = chosen
    return found
