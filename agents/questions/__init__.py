"""Readers that learn from questions about stories, and answer them."""

from lukasa.agents.questions.answerer import Answer, Answerer, UnknownWordError, split_words
from lukasa.agents.questions.learner import (
    Answered,
    QuestionLearner,
    answer_all,
    evaluate_questions,
    is_right,
    mean_surprise,
    question_trainer,
)
from lukasa.agents.questions.sizes import sizes_of
from lukasa.agents.questions.source import QuestionSource

__all__ = [
    "Answer",
    "Answered",
    "Answerer",
    "QuestionLearner",
    "QuestionSource",
    "UnknownWordError",
    "answer_all",
    "evaluate_questions",
    "is_right",
    "mean_surprise",
    "question_trainer",
    "sizes_of",
    "split_words",
]
