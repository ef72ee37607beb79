"""``lukasa plot`` of readers: which sentences each hop looked at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from lukasa.agents.questions import is_right
from lukasa.ground.mistakes import UserError
from lukasa.launch.kinds.kind import Pictures
from lukasa.launch.kinds.questions.data import groups_of, load_questions, read_tasks
from lukasa.launch.kinds.questions.drawings import Asked, draw_hops
from lukasa.launch.kinds.questions.evaluation import load_readers
from lukasa.launch.kinds.questions.experiment import QuestionExperiment
from lukasa.launch.options.bounds import check_least
from lukasa.launch.pictures.formats import Format, picture_path
from lukasa.launch.runs.checkpoints import list_checkpoints
from lukasa.launch.runs.directory import Run
from lukasa.memory.readers import Reader
from lukasa.tasks.questions import Questions, QuestionSet

MOST_TASKS = 6
"""Tasks that a picture shows where nobody says which."""
LOOKED_AT = 200
"""Questions of a task among which one is chosen to be shown."""


@dataclass(frozen=True)
class PlotOptions:
    """Draw a run's learning curve, and which sentences each hop looked at; of several runs, their curves.

    Attributes:
        out: file of the learning curves, a PNG, PDF or SVG by its name; in plots/ of the first run by default.
        format: format of all pictures; by default that of --out, or png.
        checkpoint: which readers answer: best, last, or a name.
        tasks: which tasks to show a question of, such as 1-3,16; by default the first six of the run's.
        question: number of the question within each task, from 1 on; by default one with a story of middle length
            that is answered right.
        part: part of the questions.
    """

    out: str | None = None
    format: Format | None = None
    checkpoint: str = "best"
    tasks: str | None = None
    question: int | None = None
    part: str = "test"


def plot_details(run: Run, experiment: QuestionExperiment, options: PlotOptions) -> Iterator[Path]:
    """Draw the pictures of one run beside its learning curve, and give their places."""
    if not list_checkpoints(run.checkpoints):
        return
    check_least(options, question=1)
    trained = load_readers(run, experiment, options.checkpoint)
    groups = groups_of(experiment)
    known = [task for tasks in groups.values() for task in tasks]
    wanted = read_tasks(options.tasks, known) if options.tasks else known[:MOST_TASKS]
    asked = []
    for name, tasks in groups.items():
        for task in (one for one in tasks if one in wanted):
            questions = load_questions(experiment, options.part, tasks).of_tasks([task])
            asked.append(describe_question(trained.readers[name], questions, options.question))
    title = f"{experiment.reader} on {experiment.data_title} ({trained.checkpoint.name}); bold: what the answer needs"
    yield draw_hops(asked, picture_path(run.plots, "hops", options.format), title=title)


def describe_question(reader: Reader, questions: QuestionSet, number: int | None) -> Asked:
    """One question of a task, and what a reader makes of it; raises as ``one_question``.

    Args:
        reader: trained.
        questions: of the task.
        number: which, from 1 on; None to choose one that is answered right, of middle length.
    """
    return described(reader, questions, questions.take(torch.tensor([one_question(reader, questions, number)])))


@torch.no_grad()
def one_question(reader: Reader, questions: QuestionSet, number: int | None) -> int:
    """The place of a question among those of a task, from 0 on.

    Args:
        reader: trained.
        questions: of the task.
        number: which, from 1 on; None to choose one that is answered right, of middle length.

    Raises:
        UserError: there are not so many, or none.
    """
    if not len(questions):
        task = ", ".join(map(str, questions.titles))
        raise UserError(f"there is no question of task {task} in this part: choose another part (--part) or task")
    if number is not None:
        if number > len(questions):
            raise UserError(f"option --question is {number}: there are {len(questions):,} questions of this task")
        return number - 1
    rows = torch.arange(min(LOOKED_AT, len(questions)))
    asked = questions.take(rows)
    scores = reader.eval()(asked.to(next(reader.parameters()).device)).scores.cpu()
    right = is_right(scores, asked.answers)
    candidates = right.nonzero().squeeze(1) if right.any() else rows
    return int(candidates[asked.sentences[candidates].argsort(stable=True)[len(candidates) // 2]])


@torch.no_grad()
def described(reader: Reader, questions: QuestionSet, asked: Questions) -> Asked:
    """What a reader makes of one question.

    Args:
        reader: trained.
        questions: of the task.
        asked: one of them.
    """
    reading = reader.eval()(asked.to(next(reader.parameters()).device))
    scores, place = reading.scores.cpu(), 0
    count = int(asked.sentences[place])
    vocabulary = questions.vocabulary
    task, title = next(iter(questions.titles.items()))
    best = int(scores[place].argmax())
    wanted = [vocabulary.answers[one] for one in asked.answers[place].tolist() if one >= 0]
    gates = reading.shown.get("gates")
    return Asked(
        title=f"{task} {title}",
        story=[_written(sentence, vocabulary.words) for sentence in asked.story[place, :count].tolist()],
        question=_written(asked.question[place].tolist(), vocabulary.words),
        wanted=", ".join(wanted) if vocabulary.answers[best] not in wanted else vocabulary.answers[best],
        answer=vocabulary.answers[best],
        probability=float(torch.softmax(scores[place], 0)[best]),
        attention=reading.attention[place, :, :count].cpu().numpy(),
        support=[one for one in asked.support[place].tolist() if one >= 0],
        slots=np.zeros((0, 0)) if gates is None else gates[place, :count].cpu().numpy(),
        slots_title="gates of the slots",
    )


def _written(numbers: Sequence[int], words: Sequence[str]) -> str:
    return " ".join(words[number] for number in numbers if number)


PICTURES = Pictures(PlotOptions, plot_details)
"""What is drawn of readers."""
