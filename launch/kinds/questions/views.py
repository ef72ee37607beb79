"""``lukasa view`` of readers: a story sentence by sentence, then the question, hop by hop.

Dimensions: S sentences, H hops, T steps, N slots.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lukasa.agents.sequence import evaluation_mode, log_odds
from lukasa.ground.mistakes import UserError
from lukasa.launch.kinds.kind import Views
from lukasa.launch.kinds.questions.data import groups_of, load_questions
from lukasa.launch.kinds.questions.drawings import Asked
from lukasa.launch.kinds.questions.evaluation import load_readers
from lukasa.launch.kinds.questions.experiment import QuestionExperiment
from lukasa.launch.kinds.questions.pictures import described, one_question
from lukasa.launch.options.bounds import check_least
from lukasa.launch.runs.directory import Run
from lukasa.launch.views.core_tracks import CoreView, core_view
from lukasa.launch.views.gradients import output_gradients
from lukasa.launch.views.tracks import rows_track
from lukasa.launch.views.view import Track, View
from lukasa.launch.views.watching import core_inputs, watch
from lukasa.memory import Core
from lukasa.memory.readers import Reader
from lukasa.tasks.questions import Questions, QuestionSet

LEFT_BLANK = 200
"""Sentences up to which each is left blank in turn."""


@dataclass(frozen=True)
class ViewOptions:
    """Write a page to step through a story and its question: each sentence, each hop, and what the answer needs.

    Attributes:
        out: file of the page; plots/view.html of the run by default.
        checkpoint: which readers answer: best, last, or a name.
        task: number of the task that the question is of; the first of the run's by default.
        question: number of the question within the task, from 1 on; by default one with a story of middle length that
            is answered right.
        part: part of the questions.
    """

    out: str | None = None
    checkpoint: str = "best"
    task: int | None = None
    question: int | None = None
    part: str = "test"


def view_question(run: Run, experiment: QuestionExperiment, options: ViewOptions) -> View:
    """Let a reader answer one question.

    Raises:
        UserError: there is no such checkpoint, task or question.
    """
    check_least(options, question=1)
    groups = groups_of(experiment)
    known = [task for tasks in groups.values() for task in tasks]
    wanted = known[0] if options.task is None else options.task
    if wanted not in known:
        raise UserError(f"option --task is {wanted}: this run has the tasks {', '.join(map(str, known))}")
    trained = load_readers(run, experiment, options.checkpoint)
    name, tasks = next((name, tasks) for name, tasks in groups.items() if wanted in tasks)
    questions = load_questions(experiment, options.part, tasks).of_tasks([wanted])
    title = f"{experiment.reader} on {experiment.data_title}"
    subtitle = f"{trained.checkpoint.name} of {run.path.name}"
    return question_view(trained.readers[name], questions, options.question, title, subtitle)


def question_view(reader: Reader, questions: QuestionSet, number: int | None, title: str, subtitle: str) -> View:
    """The view of one question.

    Args:
        reader: trained.
        questions: of its task.
        number: which, from 1 on; None to choose one.
        title: who answers.
        subtitle: of which checkpoint.
    """
    one = questions.take(torch.tensor([one_question(reader, questions, number)]))
    asked = described(reader, questions, one)
    one = one.to(next(reader.parameters()).device)
    core = next((part for part in reader.modules() if isinstance(part, Core)), None)
    seen, inputs = (None, None) if core is None else _watched(reader, core, one)
    sentences, hops = len(asked.story), len(asked.attention)
    steps = sentences + max(hops, 1) if inputs is None else len(inputs)
    last = [f"question, hop {hop + 1}: {asked.question}?" for hop in range(hops)] or [f"question: {asked.question}?"]
    told = [*asked.story, *last][:steps]
    told += [last[-1]] * (steps - len(told))
    right = "right" if asked.answer == asked.wanted else f"wrong, it is {asked.wanted}"
    gradients, notes = None, list(seen.notes) if seen else []
    if core is not None and inputs is not None and reader_has_core_output(reader, core):
        stands = "the log odds of the answer"
        gradients, more = output_gradients(core, inputs, log_odds, [steps - 1], 1, stands)
        notes += more
    return View(
        title=f"{title}: {asked.answer} ({asked.probability:.0%}), {right}",
        subtitle=f"{asked.title} · {subtitle}",
        steps=steps,
        tracks=[*_tracks(reader, one, asked, steps), *(seen.tracks if seen else [])],
        films=seen.films if seen else (),
        texts={"read": told},
        holders="slot" if seen else "sentence",
        contents={} if seen else {str(place + 1): sentence for place, sentence in enumerate(asked.story)},
        words=seen.words if seen else None,
        links=seen.links if seen else None,
        gradients=gradients,
        notes=notes,
    )


def reader_has_core_output(reader: Reader, core: Core) -> bool:
    """Whether the scores of answers are what the core puts out."""
    return getattr(reader, "core", None) is core and getattr(reader, "answer", None) is None


def _watched(reader: Reader, core: Core, one: Questions) -> tuple[CoreView | None, Tensor | None]:
    with evaluation_mode(core), torch.no_grad():
        with core_inputs(core) as inputs:
            reader.eval()(one)
        if not inputs or len(inputs[0]) != 1:
            return None, None
        given = torch.cat(inputs)
        return core_view(watch(core, given)), given


def _tracks(reader: Reader, one: Questions, asked: Asked, steps: int) -> list[Track]:
    """Over the sentences and then the hops: which sentence is stored, which are looked at, and which are needed."""
    sentences, hops = len(asked.story), len(asked.attention)
    names = [str(place + 1) for place in range(sentences)]
    tracks = []
    if hops:
        looked = np.zeros((steps, sentences))
        looked[sentences : sentences + hops] = asked.attention
        stored = np.eye(steps, sentences)
        tracks += [
            Track("sentence that is stored", stored, names, row="sentence"),
            Track("attention of the hops to each sentence", looked, names, colours="Oranges", row="sentence"),
        ]
    if asked.support:
        needed = np.zeros((steps, 1))
        needed[list(asked.support)] = 1
        tracks.append(rows_track("sentences that the answer follows from", needed, ["needed"], (0, 1), "Greens"))
    if asked.slots.size:
        gates = np.zeros((steps, asked.slots.shape[1]))
        gates[:sentences] = asked.slots
        slots = [str(slot) for slot in range(gates.shape[1])]
        tracks.append(rows_track(asked.slots_title, gates, slots, (0, 1), "Oranges", "gate"))
    if sentences <= LEFT_BLANK:
        lost = np.zeros((steps, 1))
        lost[:sentences, 0] = left_blank(reader, one, sentences)
        low, high = min(0.0, float(lost.min())), max(0.0, float(lost.max()))
        name = "log odds of the answer lost when the sentence is left blank"
        tracks.append(Track(name, lost, ["lost"], (low, high if high > low else low + 1), form="bars"))
    return tracks


@torch.no_grad()
def left_blank(reader: Reader, one: Questions, sentences: int) -> Sequence[float]:
    """How much of the log odds of the answer is lost when each sentence has no words: [S].

    Words are no numbers that could be changed a little, so that this takes the place of a gradient.

    Args:
        reader: trained.
        one: a question.
        sentences: of its story.
    """
    copies = sentences + 1
    rows = type(one)(*(part.expand(copies, *part.shape[1:]) for part in one))
    story = rows.story.clone()
    story[torch.arange(sentences), torch.arange(sentences)] = 0
    scores = reader.eval()(rows._replace(story=story)).scores
    odds = log_odds(scores, scores[-1].argmax().expand(copies)).cpu()
    return (odds[-1] - odds[:-1]).tolist()


VIEWS = Views(ViewOptions, view_question)
"""What a page shows of readers."""
