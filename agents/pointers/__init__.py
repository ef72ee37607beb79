"""Models that learn to point, and answer sets of points."""

from lukasa.agents.pointers.answering import PointerAgent, PointerAnswer
from lukasa.agents.pointers.learner import (
    Pointed,
    PointerLearner,
    answer_sets,
    evaluate_pointing,
    rules_of,
    taught_exactly,
)
from lukasa.agents.pointers.source import PointSource

__all__ = [
    "PointSource",
    "Pointed",
    "PointerAgent",
    "PointerAnswer",
    "PointerLearner",
    "answer_sets",
    "evaluate_pointing",
    "rules_of",
    "taught_exactly",
]
