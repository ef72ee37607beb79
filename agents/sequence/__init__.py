"""Supervised training of any core on any task."""

from lukasa.agents.sequence.acting import CoreAgent
from lukasa.agents.sequence.answering import on_core, own_steps, respond
from lukasa.agents.sequence.evaluation import evaluate, evaluation_mode
from lukasa.agents.sequence.learner import SequenceLearner, Sequences, sequence_trainer
from lukasa.agents.sequence.memory_use import slot_information
from lukasa.agents.sequence.state_gradients import state_gradients
from lukasa.agents.sequence.step_gradients import affordable, log_odds, step_gradients

__all__ = [
    "CoreAgent",
    "SequenceLearner",
    "Sequences",
    "affordable",
    "evaluate",
    "evaluation_mode",
    "log_odds",
    "on_core",
    "own_steps",
    "respond",
    "sequence_trainer",
    "slot_information",
    "state_gradients",
    "step_gradients",
]
