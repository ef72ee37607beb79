"""From a core with a sparse memory and its call to the function over sequences, and back to a state.

Legend: B batch, T time, D input width, K output width.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from lukasa.memory.core import Core, State
from lukasa.memory.kernels.sequence.running import shape_of, weights_of
from lukasa.memory.kernels.sparse_access.hearing import given
from lukasa.memory.kernels.sparse_access.native import index_of
from lukasa.memory.kernels.sparse_access.sam_access import SAMAccess
from lukasa.memory.kernels.sparse_access.sdnc_access import SDNCAccess
from lukasa.memory.kernels.sparse_access.sequence import Plan, run
from lukasa.memory.sam import SAM
from lukasa.memory.sdnc import SDNC
from lukasa.memory.sparse.store import Store

ACCESSES: dict[type[Core], Any] = {SAM: SAMAccess, SDNC: SDNCAccess}


def run_core(core: Any, inputs: Tensor, state: Any, starts: Tensor | None) -> tuple[Tensor, State]:
    """Outputs [B, T, K] and the last state of a core that has no obstacle to it."""
    store, tape, token = state.memory.opened()
    assert isinstance(store, Store)
    store.make_room()
    weights = [weight for _, weight in weights_of(core)]
    access = ACCESSES[type(core)](core, state)
    answers = given(store, inputs.shape[1], access.heads, access.reads)
    plan = Plan(shape_of(core), 2 + len(state.controller), access, store, index_of(store), tape, answers)
    tensors = [inputs, *weights, state.read_weights, state.reads, *state.controller]
    token, outputs, slots, read_weights, reads, *controller = run(plan, starts, token, tensors)
    inside = type(state.controller)(*controller)
    return outputs, access.after(state, state.memory.after(token), (slots, read_weights, reads), inside)
