"""Questions about stored stories: typed batches, and the sets that they come from."""

from lukasa.tasks.questions.batch import Questions
from lukasa.tasks.questions.data import (
    QUESTION_DATA,
    QuestionData,
    QuestionDataset,
    UnknownQuestionDataError,
    check_loaded,
    make_questions,
    question_data_options,
)
from lukasa.tasks.questions.empty_memories import with_empty_memories
from lukasa.tasks.questions.question_set import (
    Question,
    QuestionSet,
    Vocabulary,
    accuracy_per_group,
    question_set,
)

__all__ = [
    "QUESTION_DATA",
    "Question",
    "QuestionData",
    "QuestionDataset",
    "QuestionSet",
    "Questions",
    "UnknownQuestionDataError",
    "Vocabulary",
    "accuracy_per_group",
    "check_loaded",
    "make_questions",
    "question_data_options",
    "question_set",
    "with_empty_memories",
]
