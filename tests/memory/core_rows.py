"""The table of cores that the conformance battery runs. A new core adds a row.

Legend: R read heads, P write heads, N slots, W word size, H hidden units,
B batch, T time, D input width.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from lukasa import memory
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
        constant: the fields of its state that no gradient passes through, beside those of whole numbers.
        smooth: whether its gradients are the slopes of its outputs, and not those of something smooth beside them.
    """

    core: str
    options: dict[str, Any]
    recorded: dict[str, tuple[int, ...]]
    remembers: bool = True
    constant: tuple[str, ...] = ()
    smooth: bool = True

    @property
    def sparse(self) -> bool:
        """Whether a sparse memory is in its state, which is changed in place."""
        return "index" in memory.core_options(self.core)


NTM: dict[str, Any] = {"slots": N, "word_size": W, "read_heads": R, "write_heads": P, "controller_size": H}
DNC: dict[str, Any] = {"slots": N, "word_size": W, "read_heads": R, "controller_size": H}
HEADS: dict[str, Any] = {"slots": N, "word_size": W, "heads": R, "controller_size": H}
SAM: dict[str, Any] = {**HEADS, "reads": 2, "index": "exact"}
ACCESS_WEIGHTS = {"read": (R, N), "write": (R, N)}
SDNC_WEIGHTS = {**ACCESS_WEIGHTS, "read_modes": (R, 3)}
LINKS = ("links.logs", "links.survival", "links.recent_weights")
MANN: dict[str, Any] = {"slots": N, "word_size": W, "read_heads": R, "controller_size": H}
SNAIL: dict[str, Any] = {"length": 8, "filters": 4, "key_size": 3, "value_size": 2}
RING: dict[str, Any] = {"r_min": 0.5, "r_max": 0.9, "max_phase": 0.5}
LMU: dict[str, Any] = {"size": H, "order": 4, "window": 6.0}
PERIODS: dict[str, Any] = {"layers": 2, "min_period": 2.0, "max_period": 16.0}
GTRXL: dict[str, Any] = {"length": 8, "size": 5, "layers": 2, "heads": 2, "head_size": 3, "mlp_size": 5}
MQN: dict[str, Any] = {"length": 8, "size": 5}
MAP: dict[str, Any] = {"height": 4, "width": 3, "word_size": W, "filters": 2, "layers": 2}
MAP_WEIGHTS = {"map": (4, 3), "map_read": (4, 3), "map_write": (4, 3)}
DNTM: dict[str, Any] = {"slots": N, "word_size": W, "address_size": 2, "controller": "gru", "controller_size": H}
DNTM_WEIGHTS = {
    **{"read": (1, N), "write": (1, N), "memory": (N, W)},
    **{"recency_gates": (1, 2), "input_gate": (1,)},
}
RMC: dict[str, Any] = {"slots": N, "heads": R, "head_size": W, "output_layer_size": H}
RMC_WEIGHTS = {
    **{"slot_attention": (R, N, N + 1), "memory": (N, R * W)},
    **{"slot_input_gates": (N,), "slot_forget_gates": (N,)},
}
STACK: dict[str, Any] = {"size": 16, "stacks": 2, "depth": 4}
LIST: dict[str, Any] = {"size": 16, "lists": 2, "reach": 2, "elements": 3}
BENCH: dict[str, Any] = {"slots": N, "word_size": W, "read_heads": R, "controller_size": H, "long_slots": 3}
BENCH_WEIGHTS = {"read": (R, N), "write": (1, N), "memory": (N, W), "strengths": (N,), "write_gate": (1,)}
BENCH_OF_TWO = {**BENCH_WEIGHTS, "read": (R, N + 3), "write": (1, N + 3), "memory": (N + 3, W), "strengths": (N + 3,)}
TIMED = {"organisation": "by_time", "addressing": "top_k", "top": 2, "writing": "append", "forgetting": "learned"}
GRAPH = {"organisation": "graph", "writing": "gated", "forgetting": "decay", "controller": "gru"}
LEVELS = {"organisation": "two_levels", "addressing": "sparsemax", "forgetting": "interference", "compression": 2}
DELTA: dict[str, Any] = {"size": 7, "heads": R, "key_size": 4, "value_size": 3}
MLSTM: dict[str, Any] = {"size": 7, "heads": R, "key_size": 4, "value_size": 3}
BARE: dict[str, Any] = {"convolution": False, "forget_gate": "exponential", "output_gate": "sigmoid"}
SHM: dict[str, Any] = {"size": 7, "heads": R, "key_size": 8, "value_size": 4, "thetas": 5}
DELTA_MATRIX = {"matrices": (R, 4, 3), "decay_gates": (R,), "strength_gates": (R,)}
ACT: dict[str, Any] = {"core_options": {"size": H}, "size": H, "max_steps": 3, "halting_bias": 0.0}
COMPRESSIVE: dict[str, Any] = {
    **{"length": 2, "compressed": 2, "rate": 2, "segment": 2},
    **{"size": 5, "layers": 2, "heads": 2, "head_size": 3, "mlp_size": 5},
}
DAM_WEIGHTS = {**ACCESS_WEIGHTS, "memory": (N, W), "usage": (N,)}
ROWS = {
    "ntm-lstm": Row("ntm", NTM, NTM_WEIGHTS),
    "ntm-gru": Row("ntm", {**NTM, "controller": "gru", "initial_weights": "first"}, NTM_WEIGHTS),
    "ntm-tape": Row("ntm", {**NTM, "controller": "feedforward", "initial_motion": "tape"}, NTM_WEIGHTS),
    "ntm-feedforward": Row("ntm", {**NTM, "controller": "feedforward"}, NTM_WEIGHTS),
    "ntm-attention": Row("ntm", {**NTM, "controller": "attention", "controller_window": 2}, NTM_WEIGHTS),
    "dnc-lstm": Row("dnc", DNC, DNC_WEIGHTS),
    "dnc-gru": Row("dnc", {**DNC, "controller": "gru", "controller_layers": 2}, DNC_WEIGHTS),
    "dnc-feedforward": Row("dnc", {**DNC, "controller": "feedforward"}, DNC_WEIGHTS),
    "dnc-attention": Row("dnc", {**DNC, "controller": "attention", "controller_layers": 2}, DNC_WEIGHTS),
    "sam-lstm": Row("sam", SAM, ACCESS_WEIGHTS),
    "sam-gru": Row("sam", {**SAM, "controller": "gru"}, ACCESS_WEIGHTS),
    "sam-feedforward": Row("sam", {**SAM, "controller": "feedforward"}, ACCESS_WEIGHTS),
    "sam-attention": Row("sam", {**SAM, "controller": "attention", "controller_window": 4}, ACCESS_WEIGHTS),
    "dam-lstm": Row("dam", HEADS, DAM_WEIGHTS, constant=("usage",)),
    "dam-gru": Row("dam", {**HEADS, "controller": "gru"}, DAM_WEIGHTS, constant=("usage",)),
    "dam-feedforward": Row("dam", {**HEADS, "controller": "feedforward"}, DAM_WEIGHTS, constant=("usage",)),
    "sdnc-lstm": Row("sdnc", {**SAM, "links": 3}, SDNC_WEIGHTS, constant=LINKS),
    "sdnc-gru": Row("sdnc", {**SAM, "link_decay": "both", "controller": "gru"}, SDNC_WEIGHTS, constant=LINKS),
    "sdnc-feedforward": Row("sdnc", {**SAM, "controller": "feedforward"}, SDNC_WEIGHTS, constant=LINKS),
    "mann-lstm": Row("mann", MANN, DAM_WEIGHTS, constant=("usage",)),
    "mann-gru": Row("mann", {**MANN, "words": "own", "controller": "gru"}, DAM_WEIGHTS, constant=("usage",)),
    "mann-feedforward": Row("mann", {**MANN, "controller": "feedforward"}, DAM_WEIGHTS, constant=("usage",)),
    "snail": Row("snail", SNAIL, {"attention": (3, 9)}),
    "snail-short": Row("snail", {**SNAIL, "length": 3}, {"attention": (3, 4)}),
    "gtrxl": Row("gtrxl", GTRXL, {"attention": (4, 9)}),
    "gtrxl-short": Row("gtrxl", {**GTRXL, "length": 3, "gate": "output"}, {"attention": (4, 4)}),
    "gtrxl-sigmoid_tanh": Row("gtrxl", {**GTRXL, "layers": 1, "gate": "sigmoid_tanh"}, {"attention": (2, 9)}),
    "gtrxl-highway": Row("gtrxl", {**GTRXL, "layers": 1, "gate": "highway"}, {"attention": (2, 9)}),
    "gtrxl-input": Row("gtrxl", {**GTRXL, "layers": 1, "gate": "input"}, {"attention": (2, 9)}),
    "gtrxl-residual": Row("gtrxl", {**GTRXL, "layers": 1, "gate": "residual"}, {"attention": (2, 9)}),
    "mqn": Row("mqn", MQN, {"attention": (1, 9)}),
    "mqn-short": Row("mqn", {**MQN, "length": 3}, {"attention": (1, 4)}, remembers=False),
    "rmqn": Row("rmqn", MQN, {"attention": (1, 9), "hidden": (5,)}),
    "frmqn": Row("frmqn", MQN, {"attention": (1, 9), "hidden": (5,)}),
    "frmqn-short": Row("frmqn", {**MQN, "length": 3}, {"attention": (1, 4), "hidden": (5,)}),
    "neural_map": Row("neural_map", MAP, MAP_WEIGHTS),
    "neural_map-plain": Row("neural_map", {**MAP, "write": "plain", "position": "input"}, MAP_WEIGHTS),
    "neural_map-around": Row("neural_map", {**MAP, "egocentric": True}, MAP_WEIGHTS),
    "neural_map-around-input": Row(
        "neural_map", {**MAP, "egocentric": True, "position": "input", "span": 2.0, "write": "plain"}, MAP_WEIGHTS
    ),
    "dntm-gru": Row("dntm", DNTM, DNTM_WEIGHTS),
    "dntm-lstm": Row("dntm", {**DNTM, "no_op": False, "read_steps": 2, "controller": "lstm"}, {"read": (2, N)}),
    "dntm-feedforward": Row("dntm", {**DNTM, "controller": "feedforward"}, DNTM_WEIGHTS),
    "dntm-straight-through": Row("dntm", {**DNTM, "addressing": "straight_through"}, DNTM_WEIGHTS, smooth=False),
    "rmc": Row("rmc", RMC, RMC_WEIGHTS),
    "rmc-memory": Row(
        "rmc",
        {**RMC, "gates": "memory", "blocks": 2, "output_layers": 2},
        {**RMC_WEIGHTS, "slot_attention": (2 * R, N, N + 1)},
    ),
    "stack_rnn": Row("stack_rnn", STACK, {"stack_actions": (2, 2), "stacks": (2, 4)}),
    "stack_rnn-bare": Row(
        "stack_rnn",
        {**STACK, "no_op": True, "recurrent": False, "word_size": W, "rounding": "eval"},
        {"stack_actions": (2, 3), "stacks": (2, 4)},
    ),
    "list_rnn": Row("list_rnn", LIST, {"list_actions": (2, 3), "lists": (2, 5)}),
    "list_rnn-bare": Row(
        "list_rnn",
        {**LIST, "no_op": True, "recurrent": False, "word_size": W, "rounding": "eval"},
        {"list_actions": (2, 4), "lists": (2, 5)},
    ),
    "workbench": Row("workbench", BENCH, BENCH_WEIGHTS),
    "workbench-time": Row("workbench", {**BENCH, **TIMED}, BENCH_WEIGHTS),
    "workbench-graph": Row("workbench", {**BENCH, **GRAPH}, BENCH_WEIGHTS),
    "workbench-levels": Row("workbench", {**BENCH, **LEVELS}, BENCH_OF_TWO),
    "workbench-similar": Row(
        "workbench", {**BENCH, "writing": "most_similar", "controller": "feedforward"}, BENCH_WEIGHTS
    ),
    "gated_deltanet": Row("gated_deltanet", DELTA, DELTA_MATRIX),
    "gated_deltanet-2": Row(
        "gated_deltanet",
        {**DELTA, "layers": 2, "convolution": "off", "gate": "off", "negative_eigenvalues": True},
        {"matrices": (2 * R, 4, 3)},
    ),
    "deltanet": Row("gated_deltanet", {**DELTA, "rule": "delta", "features": "elu", "taps": 3}, DELTA_MATRIX),
    "fast_weights": Row(
        "gated_deltanet",
        {**DELTA, "rule": "fast_weights", "key_size": 8, "feature_copies": 2},
        {"matrices": (R, 32, 3)},
    ),
    "linear_attention": Row(
        "gated_deltanet",
        {**DELTA, "rule": "linear_attention", "convolution": "on", "taps": 8, "gate": "on"},
        DELTA_MATRIX,
    ),
    "act-lstm": Row("act", ACT, {"ponder": (), "hidden": (H,)}),
    "act-ntm": Row("act", {**ACT, "core": "ntm", "core_options": NTM}, {"ponder": (), **NTM_WEIGHTS}),
    "act-snail": Row("act", {**ACT, "core": "snail", "core_options": SNAIL}, {"ponder": (), "attention": (3, 9)}),
    "act-feedforward": Row("act", {**ACT, "core": "feedforward"}, {"ponder": (), "hidden": (H,)}, remembers=False),
    "compressive": Row("compressive_transformer", COMPRESSIVE, {"attention": (4, 6)}),
    "compressive-mean": Row(
        "compressive_transformer",
        {**COMPRESSIVE, "compression": "mean", "task_gradient": False, "gate": "gru", "gate_bias": 0.0, "layers": 1},
        {"attention": (2, 6)},
    ),
    "compressive-max": Row(
        "compressive_transformer",
        {**COMPRESSIVE, "compression": "max", "length": 1, "rate": 1, "compressed": 3, "layers": 1},
        {"attention": (2, 6)},
    ),
    "mlstm": Row("mlstm", MLSTM, DELTA_MATRIX),
    "mlstm-2": Row("mlstm", {**MLSTM, "layers": 2}, {"matrices": (2 * R, 4, 3)}),
    "mlstm-bare": Row("mlstm", {**MLSTM, **BARE, "expansion": 2}, {"matrices": (R, 4, 3)}),
    "shm": Row("shm", SHM, {"matrices": (R, 8, 4), "strength_gates": (R,)}),
    "shm-2": Row("shm", {**SHM, "heads": 1, "layers": 2, "centre": False}, {"matrices": (2, 8, 4)}),
    "direct_access": Row("direct_access", {"size": H}, {"hidden": (H,), "direct_gates": (1,)}),
    "direct_access-paths": Row(
        "direct_access", {"size": H, "layers": 2, "controller": "gru", "paths": 3}, {"direct_gates": (3,)}
    ),
    "lstm": Row("lstm", {"size": H}, {"hidden": (H,)}),
    "lstm-2": Row("lstm", {"size": H, "layers": 2}, {"hidden": (H,)}),
    "gru": Row("gru", {"size": H}, {"hidden": (H,)}),
    "gru-2": Row("gru", {"size": H, "layers": 2}, {"hidden": (H,)}),
    "mingru": Row("mingru", {"size": H}, {"hidden": (2 * H,)}),
    "mingru-positive": Row("mingru", {"size": H, "layers": 1, "candidate": "positive"}, {"hidden": (H,)}),
    "lru": Row("lru", {"size": H, "states": 5}, {"hidden": (2 * 10,)}),
    "lru-ring": Row("lru", {"size": H, "states": 5, "layers": 1, **RING}, {"hidden": (10,)}),
    "ffm": Row("ffm", {"size": H, "trace_size": 3, "context_size": 2}, {"hidden": (12,)}),
    "ffm-2": Row("ffm", {"size": H, "trace_size": 3, "context_size": 2, **PERIODS}, {"hidden": (2 * 12,)}),
    "lmu": Row("lmu", LMU, {"hidden": (H,), "coefficients": (1, 1, 4), "window": (1, 6)}),
    "lmu-2": Row("lmu", {**LMU, "memories": 2, "layers": 2}, {"coefficients": (2, 2, 4), "window": (4, 6)}),
    "lmu-parallel": Row("lmu", {**LMU, "memories": 3, "parallel": True}, {"coefficients": (1, 3, 4), "window": (3, 6)}),
    "feedforward": Row("feedforward", {"size": H}, {"hidden": (H,)}, remembers=False),
}
EVERY_CORE = pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
FIRST = {row.core: name for name, row in reversed(ROWS.items())}
"""The first row of each core."""
IN_SHORT = {*FIRST.values(), *(name for name in ROWS if name.startswith("ntm-"))}
"""Each core, and each controller inside one of them."""
EVERY_CORE_IN_SHORT = pytest.mark.parametrize(
    "row",
    [pytest.param(row, marks=() if name in IN_SHORT else pytest.mark.slow, id=name) for name, row in ROWS.items()],
)
"""For what takes long and fails with the core rather than with its options: the other rows are slow."""
CLOSE: dict[str, Any] = {"rtol": 1e-13, "atol": 1e-12}  # float64, other order of summation; gradients reach hundreds
SAME: dict[str, Any] = {"rtol": 0, "atol": 0}


def make(row: Row) -> Any:
    """The row's core in float64, the same at every call."""
    return lively_core(row.core, **row.options)


def sequences(batch_size: int = 3, length: int = 6, seed: int = 1) -> Tensor:
    """Inputs [B, T, D]."""
    return 2 * Sampler(seed).normal(batch_size, length, 3)


def rows_of(core: memory.Core, state: memory.State, rows: slice) -> memory.State:
    """A state of its own that holds some rows of another."""
    return memory.state_from_dict(core, {name: part[rows] for name, part in memory.state_to_dict(state).items()})


def watched(row: Row, core: memory.Core, state: memory.State) -> tuple[memory.State, dict[str, Tensor]]:
    """A state of the same values, and the leaves that gather its gradients, by name."""
    flat = {name: tensor.detach().clone() for name, tensor in memory.state_to_dict(state).items()}
    leaves = {name: tensor for name, tensor in flat.items() if tensor.is_floating_point() and name not in row.constant}
    for leaf in leaves.values():
        leaf.requires_grad_()
    return memory.state_from_dict(core, flat), leaves


def assert_same_state(found: memory.State, expected: memory.State, **tolerance: Any) -> None:
    """Compare what two states hold, sparse memories included."""
    assert type(found) is type(expected)
    torch.testing.assert_close(memory.state_to_dict(found), memory.state_to_dict(expected), **tolerance)


def numbers(state: memory.State) -> list[Tensor]:
    """The tensors of a state that are not of whole numbers."""
    return [tensor for tensor in memory.state_to_dict(state).values() if tensor.is_floating_point()]
