"""Observations of several players as tensors of one step.

Legend: n players side by side.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from lukasa.ground.conforming import check_finite, conform
from lukasa.ground.spaces import kind, leaves, nested, pick


def side_by_side(space: Any, observations: Any) -> tuple[Any, int]:
    """Observations as arrays [n, ...] of the space's shapes and dtypes, nested as the space is; and n.

    Args:
        space: of one observation.
        observations: a list of n observations; or all of them batched, as Gymnasium's vector environments give them.

    Raises:
        ObservationError: one is none of the space, or has a number that is not finite.
        ValueError: parts of a batch have different lengths, or no axis of players.
    """
    if isinstance(observations, list):
        each = [conform(space, one) for one in observations]
        parts = [check_finite(_stacked([pick(one, path) for one in each], leaf)) for path, leaf in leaves(space)]
        return nested(space, iter(parts)), len(each)
    arrays, lengths = [], set()
    for path, leaf in leaves(space):
        part = np.asarray(pick(observations, path))
        if part.ndim == 0:
            raise ValueError("one observation was given for several sessions: expected a batch or a list of them")
        lengths.add(len(part))
        fits = part.dtype == leaf.dtype and part.shape[1:] == leaf.shape and kind(leaf) in ("Box", "MultiBinary")
        arrays.append(check_finite(part if fits else _stacked([conform(leaf, one) for one in part], leaf)))
    if len(lengths) != 1:
        raise ValueError(f"the parts of the observations have {sorted(lengths)} rows: expected as many in each")
    return nested(space, iter(arrays)), lengths.pop()


def with_time(space: Any, arrays: Any) -> Any:
    """Arrays [n, ...] as tensors of one step, [n, 1, ...]."""
    return nested(space, (torch.from_numpy(_writable(pick(arrays, path))).unsqueeze(1) for path, _ in leaves(space)))


def _stacked(parts: list[Any], leaf: Any) -> np.ndarray:
    return np.stack(parts) if parts else np.zeros((0, *leaf.shape), leaf.dtype)


def _writable(part: np.ndarray) -> np.ndarray:
    return part if part.flags.writeable and part.flags.c_contiguous else np.array(part)
