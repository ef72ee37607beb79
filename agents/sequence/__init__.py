"""Supervised training of any core on any task."""

from lukasa.agents.sequence.acting import CoreAgent
from lukasa.agents.sequence.answering import on_core, own_steps, respond
from lukasa.agents.sequence.evaluation import evaluate, evaluation_mode
from lukasa.agents.sequence.learner import SequenceLearner, Sequences, sequence_trainer
from lukasa.agents.sequence.memory_use import slot_information
from lukasa.agents.sequence.state_gradients import state_gradients

__all__ = [
    "CoreAgent",
    "SequenceLearner",
    "Sequences",
    "evaluate",
    "evaluation_mode",
    "on_core",
    "own_steps",
    "respond",
    "sequence_trainer",
    "slot_information",
    "state_gradients",
]
