"""Differentiable memory cores behind one contract."""

from ground.names import UnknownNameError
from memory.ablation import state_parts, without
from memory.controlled import Controlled
from memory.core import Core, State
from memory.recording import Recording, record
from memory.registry import CORES, check_core_options, core_class, core_options, make_core
from memory.states import (
    detach_state,
    fork_state,
    map_state,
    reset_rows,
    state_from_dict,
    state_to_dict,
    watched_state,
)
from memory.unrolling import unroll

__all__ = [
    "CORES",
    "Controlled",
    "Core",
    "Recording",
    "State",
    "UnknownNameError",
    "check_core_options",
    "core_class",
    "core_options",
    "detach_state",
    "fork_state",
    "make_core",
    "map_state",
    "record",
    "reset_rows",
    "state_from_dict",
    "state_parts",
    "state_to_dict",
    "unroll",
    "watched_state",
    "without",
]
