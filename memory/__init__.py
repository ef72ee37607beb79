"""Differentiable memory cores behind one contract."""

from lukasa.ground.names import UnknownNameError
from lukasa.memory.ablation import state_parts, without
from lukasa.memory.act import ACT
from lukasa.memory.auxiliary import Auxiliary
from lukasa.memory.collecting import add_choice, add_cost, collect_auxiliary
from lukasa.memory.controlled import Controlled
from lukasa.memory.core import Core, State
from lukasa.memory.kernels.sequence import step_by_step, why_slow
from lukasa.memory.recording import Recording, record
from lukasa.memory.registry import CORES, check_core_options, core_class, core_options, make_core
from lukasa.memory.states import (
    detach_state,
    fork_state,
    map_state,
    reset_rows,
    state_from_dict,
    state_to_dict,
    watched_state,
)
from lukasa.memory.unrolling import unroll

__all__ = [
    "ACT",
    "CORES",
    "Auxiliary",
    "Controlled",
    "Core",
    "Recording",
    "State",
    "UnknownNameError",
    "add_choice",
    "add_cost",
    "check_core_options",
    "collect_auxiliary",
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
    "step_by_step",
    "unroll",
    "watched_state",
    "why_slow",
    "without",
]
