"""Supervised training of any core on any task."""

from agents.sequence.acting import CoreAgent
from agents.sequence.answering import on_core, own_steps, respond
from agents.sequence.evaluation import Evaluation, evaluate
from agents.sequence.gradients import DivergenceError, clip, group_norms, state_gradients
from agents.sequence.memory_use import slot_information
from agents.sequence.rmsprop import GravesRMSProp
from agents.sequence.schedules import make_optimizer, make_schedule
from agents.sequence.sharing import ALONE, ProcessGroup, Sharing
from agents.sequence.trainer import StepResult, Trainer

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
