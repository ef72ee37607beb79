"""Sets of questions by name: what each is asked, and its parts."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch

from lukasa.ground.names import UnknownNameError, nearest
from lukasa.ground.options import check_value, options_of
from lukasa.ground.registry import Registry, is_own
from lukasa.tasks.questions.babi import BabiQuestions, MadeBabiQuestions
from lukasa.tasks.questions.dialog import DialogQuestions
from lukasa.tasks.questions.films import FilmQuestions
from lukasa.tasks.questions.question_set import QuestionSet, QuestionUnit
from lukasa.tasks.questions.wikimovies import WikiMoviesQuestions


@runtime_checkable
class QuestionData(Protocol):
    """Questions of one or more tasks in named parts, with one vocabulary for all parts."""

    @property
    def parts(self) -> Sequence[str]:
        """The names of the parts: "train", "validation", "test", and others."""
        ...

    @property
    def tasks(self) -> Mapping[int, str]:
        """The tasks by their numbers."""
        ...

    def load(self, part: str, tasks: Sequence[int]) -> QuestionSet:
        """The questions of a part of some tasks: the same ones every time.

        Raises:
            ValueError: there is no such part or task.
            lukasa.tasks.data.DataError: the files are not available, or broken.
        """
        ...


@dataclass(frozen=True)
class QuestionDataset:
    """One set of questions by name.

    Attributes:
        name: the key of ``QUESTION_DATA``.
        title: what results call it.
        description: what is in it, in one line.
        make: the class or function that makes it; its keyword-only parameters are the options, all of one of your own.
        unit: that its answers are scored in.
    """

    name: str
    title: str
    description: str
    make: Callable[..., Any]
    unit: QuestionUnit = "error %"


class UnknownQuestionDataError(UnknownNameError):
    """A set of questions, or an option of one, that there is not; or one of your own that cannot be used."""


def _own(path: str, found: Any) -> QuestionDataset:
    if not callable(found):
        raise ValueError("expected a class or a function that makes a set of questions")
    about = (inspect.getdoc(found) or "").partition("\n")[0]
    return QuestionDataset(path, path.rpartition(":")[2], about, found, "accuracy %")


QUESTION_DATA: Registry[QuestionDataset] = Registry(
    "set of questions",
    {
        one.name: one
        for one in (
            QuestionDataset("babi", "bAbI", "the 20 bAbI tasks (Weston et al. 2015), from their files", BabiQuestions),
            QuestionDataset(
                "babi_made", "generated bAbI", "tasks 1, 2, 3, 6, 15 and 16 of bAbI, made up here", MadeBabiQuestions
            ),
            QuestionDataset(
                "dialog",
                "restaurant dialogs",
                "five tasks of booking a table (Bordes et al. 2017), from their files or made up here",
                DialogQuestions,
                "accuracy %",
            ),
            QuestionDataset(
                "films",
                "generated films",
                "one-hop and two-hop questions about a made-up world of films, up to millions of facts",
                FilmQuestions,
                "hits@1 %",
            ),
            QuestionDataset(
                "wikimovies",
                "WikiMovies",
                "questions about films over facts of Wikipedia (Miller et al. 2016), from their files",
                WikiMoviesQuestions,
                "hits@1 %",
            ),
        )
    },
    _own,
    UnknownQuestionDataError,
)
"""Every set of questions by the name that ``make_questions`` and the command line know."""


def question_data_options(name: str) -> dict[str, inspect.Parameter]:
    """The options of a set of questions: name to parameter, with its default and its resolved type annotation.

    Raises:
        UnknownQuestionDataError: there is no such set, or an option of your own has no default.
    """
    options = options_of(QUESTION_DATA.find(name).make, given=0 if is_own(name) else None)
    for one in options.values():
        if one.default is one.empty:
            raise UnknownQuestionDataError(f"option {one.name!r} of questions {name!r} has no default: give it one")
    return options


def make_questions(name: str, **options: Any) -> QuestionData:
    """A set of questions by name.

    Args:
        name: a key of ``QUESTION_DATA``, or "package.module:Name" of a class or function of your own.
        **options: its own options.

    Raises:
        UnknownQuestionDataError: the name or an option is unknown; the message gives the nearest known one.
        ValueError: an option's value cannot be used.

    Example:
        >>> import torch
        >>> made = make_questions("babi_made", stories=20)
        >>> some = made.load("train", [1])
        >>> some.take(torch.arange(3)).question.shape
        torch.Size([3, 3])
    """
    known = question_data_options(name)
    for option, value in options.items():
        if option not in known:
            raise UnknownQuestionDataError(f"questions {name!r} have no option {option!r}: {nearest(option, known)}")
        check_value(f"questions {name!r}: {option}", value, known[option].annotation, size=False)
    made = QUESTION_DATA.find(name).make(**options)
    if not isinstance(made, QuestionData):
        raise UnknownQuestionDataError(
            f"questions {name!r} are a {type(made).__name__}: expected what "
            "lukasa.tasks.questions.QuestionData describes"
        )
    return made


def check_loaded(name: str, found: Any, part: str, tasks: Sequence[int]) -> QuestionSet:
    """What a set of questions of your own loaded.

    Args:
        name: of the set, for messages.
        found: what its ``load`` gave.
        part: that was asked for; in "train" there is nothing to learn from an answer that the vocabulary lacks.
        tasks: that were asked for.

    Raises:
        UnknownQuestionDataError: it is no set of questions, or they are of other tasks, or have answers or supporting
            sentences that there are not.
    """
    if not isinstance(found, QuestionSet):
        raise UnknownQuestionDataError(
            f"questions {name!r}: load gave a {type(found).__name__}, expected what question_set makes"
        )
    known = [task for task in tasks if task in found.titles]
    other = found.tasks[~torch.isin(found.tasks, torch.tensor(known, dtype=torch.int64))]
    if len(other):
        raise UnknownQuestionDataError(
            f"questions {name!r}: load gave a question of task {int(other[0])}, expected those asked for that have a "
            f"title, {', '.join(map(str, known)) or 'of which there is none'}: give each Question its task"
        )
    lacking = found.answers[:, 0] < 0 if part == "train" else torch.zeros(len(found), dtype=torch.bool)
    lacking = lacking | (found.answers >= len(found.vocabulary.answers)).any(1)
    if lacking.any():
        raise UnknownQuestionDataError(
            f"questions {name!r}: the answer of question {1 + int(lacking.nonzero()[0])} of part {part} is not among "
            f"the {len(found.vocabulary.answers):,} answers of the vocabulary: add it, or leave the question out"
        )
    if (found.support >= found.counts[:, None]).any():
        raise UnknownQuestionDataError(
            f"questions {name!r}: a supporting sentence is at place {int(found.support.max())} of a story that is "
            "shorter: expected places from 0 on"
        )
    return found
