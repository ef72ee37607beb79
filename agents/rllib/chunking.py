"""The columns of a train batch in chunks of ``max_seq_len`` steps, cut from whole fragments.

Legend: n steps of a fragment, T ``max_seq_len``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ray.rllib.connectors.common import AddTimeDimToBatchAndZeroPad
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.multi_rl_module import MultiRLModule
from ray.rllib.utils.postprocessing.zero_padding import create_mask_and_seq_lens, split_and_zero_pad
from ray.rllib.utils.spaces.space_utils import BatchedNdArray


class ChunkColumns(AddTimeDimToBatchAndZeroPad):
    """Learner, in place of RLlib's piece: the same chunks, not put together step by step."""

    def __init__(self, input_observation_space: Any = None, input_action_space: Any = None, **kwargs: Any):
        super().__init__(input_observation_space, input_action_space, **{**kwargs, "as_learner_connector": True})

    def __call__(self, *, rl_module: Any, batch: dict[str, Any], episodes: list[Any], **kwargs: Any) -> Any:
        """Cut all columns but infos into chunks, the last one padded with zeros, and add their lengths and masks."""
        if Columns.STATE_IN in batch:
            return batch
        lengths_of = _chunk_lengths(rl_module)
        if not lengths_of:
            return batch
        shared = kwargs["shared_data"]
        for name, parts in batch.items():
            if name != Columns.INFOS:
                for key, items in parts.items():
                    length = lengths_of.get(key[2] if len(key) == 3 else DEFAULT_MODULE_ID)
                    if length is not None:
                        parts[key] = chunks(items, length)
        for module_id in lengths_of:
            shared[f"_zero_padded_for_mid={module_id}"] = True
        for episode in self.single_agent_episode_iterator(episodes, agents_that_stepped_only=False):
            length = lengths_of.get(DEFAULT_MODULE_ID if episode.module_id is None else episode.module_id)
            if length is None:
                continue
            mask, lengths = create_mask_and_seq_lens(len(episode), length)
            self.add_n_batch_items(batch, Columns.SEQ_LENS, lengths, len(lengths), episode)
            if not shared.get("_added_loss_mask_for_valid_episode_ts"):
                self.add_n_batch_items(batch, Columns.LOSS_MASK, mask, len(mask), episode)
        return batch


def _chunk_lengths(rl_module: Any) -> dict[Any, int]:
    """``max_seq_len`` of each module that carries a state, by its id."""
    several: Any = rl_module.items() if isinstance(rl_module, MultiRLModule) else [(DEFAULT_MODULE_ID, rl_module)]
    modules: list[Any] = [(module_id, module.unwrapped()) for module_id, module in several]
    return {module_id: module.model_config["max_seq_len"] for module_id, module in modules if module.is_stateful()}


def chunks(items: list[Any], length: int) -> list[Any]:
    """What RLlib's ``split_and_zero_pad`` makes of a column of one fragment.

    Args:
        items: one array [n, ...], as RLlib marks it, or n values.
        length: T.

    Returns:
        Arrays [T, ...], or what is nested as the values are of such arrays.
    """
    if len(items) == 1 and isinstance(items[0], BatchedNdArray):
        steps = np.asarray(items[0])
    elif set(map(type, items)) <= {bool, np.bool_}:
        steps = np.array(items, np.bool_)
    else:
        return split_and_zero_pad(items, length)
    if not len(steps):
        return split_and_zero_pad(items, length)
    rows = -(-len(steps) // length)
    padded = np.zeros((rows * length, *steps.shape[1:]), steps.dtype)
    padded[: len(steps)] = steps
    return list(padded.reshape(rows, length, *steps.shape[1:]))
