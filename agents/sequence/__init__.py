"""Supervised training of any core on any task."""

from lukasa.agents.sequence.acting import CoreAgent
from lukasa.agents.sequence.answering import on_core, own_steps, respond
from lukasa.agents.sequence.evaluation import Evaluation, evaluate
from lukasa.agents.sequence.gradients import DivergenceError, clip, group_norms, state_gradients
from lukasa.agents.sequence.memory_use import slot_information
from lukasa.agents.sequence.rmsprop import GravesRMSProp
from lukasa.agents.sequence.schedules import make_optimizer, make_schedule
from lukasa.agents.sequence.sharing import ALONE, ProcessGroup, Sharing
from lukasa.agents.sequence.trainer import StepResult, Trainer

__all__ = [
    "ALONE",
    "CoreAgent",
    "DivergenceError",
    "Evaluation",
    "GravesRMSProp",
    "ProcessGroup",
    "Sharing",
    "StepResult",
    "Trainer",
    "clip",
    "evaluate",
    "group_norms",
    "make_optimizer",
    "make_schedule",
    "on_core",
    "own_steps",
    "respond",
    "slot_information",
    "state_gradients",
]
