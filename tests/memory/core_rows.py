"""The table of cores that the conformance battery runs. A new core adds a row.

Legend: R read heads, P write heads, N slots, W word size, H hidden units,
B batch, T time, D input width.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from torch import Tensor

import memory
from tests.memory.samples import Sampler, lively_core

N, W, R, P, H = 5, 3, 2, 2, 7
NTM_WEIGHTS = {"read": (R, N), "write": (P, N), "memory": (N, W)}
DNC_WEIGHTS = {
    **{"read": (R, N), "write": (1, N), "memory": (N, W)},
    **{"usage": (N,), "allocation": (N,), "links": (N, N)},
    **{"free_gates": (R,), "allocation_gate": (1,), "write_gate": (1,), "read_modes": (R, 3)},
}


class Row(NamedTuple):
    """A core in small options.

    Attributes:
        core: its name in `memory.CORES`.
        options: its own options.
        recorded: what a recording of it holds, with the shape of one step of one row.
        remembers: whether it can learn to recall its first input.
    """

    core: str
    options: dict[str, Any]
    recorded: dict[str, tuple[int, ...]]
    remembers: bool = True


NTM: dict[str, Any] = {"slots": N, "word_size": W, "read_heads": R, "write_heads": P, "controller_size": H}
DNC: dict[str, Any] = {"slots": N, "word_size": W, "read_heads": R, "controller_size": H}
ROWS = {
    "ntm-lstm": Row("ntm", NTM, NTM_WEIGHTS),
    "ntm-gru": Row("ntm", {**NTM, "controller": "gru", "initial_weights": "first"}, NTM_WEIGHTS),
    "ntm-feedforward": Row("ntm", {**NTM, "controller": "feedforward"}, NTM_WEIGHTS),
    "dnc-lstm": Row("dnc", DNC, DNC_WEIGHTS),
    "dnc-gru": Row("dnc", {**DNC, "controller": "gru", "controller_layers": 2}, DNC_WEIGHTS),
    "dnc-feedforward": Row("dnc", {**DNC, "controller": "feedforward"}, DNC_WEIGHTS),
    "lstm": Row("lstm", {"size": H}, {"hidden": (H,)}),
    "lstm-2": Row("lstm", {"size": H, "layers": 2}, {"hidden": (H,)}),
    "gru": Row("gru", {"size": H}, {"hidden": (H,)}),
    "gru-2": Row("gru", {"size": H, "layers": 2}, {"hidden": (H,)}),
    "feedforward": Row("feedforward", {"size": H}, {"hidden": (H,)}, remembers=False),
}
EVERY_CORE = pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
CLOSE: dict[str, Any] = {"rtol": 0, "atol": 1e-12}  # float64, other order of summation
SAME: dict[str, Any] = {"rtol": 0, "atol": 0}


def make(row: Row) -> Any:
    """The row's core in float64, the same at every call."""
    return lively_core(row.core, **row.options)


def sequences(batch_size: int = 3, length: int = 6, seed: int = 1) -> Tensor:
    """Inputs [B, T, D]."""
    return 2 * Sampler(seed).normal(batch_size, length, 3)


def rows_of(state: memory.State, rows: slice) -> memory.State:
    """Some rows of a state."""
    return memory.map_state(lambda tensor: tensor[rows], state)


def watched(state: memory.State) -> memory.State:
    """The same values as leaves that gather gradients."""
    return memory.map_state(lambda tensor: tensor.detach().clone().requires_grad_(), state)
