"""Training of a method on a stream: from an experiment to what ``lukasa.launch.training.loop`` trains."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from typing import Any

import torch

from lukasa.agents.continual import (
    Method,
    Network,
    Setting,
    StreamSource,
    StreamTrainer,
    accuracies,
    make_method,
    make_network,
    scores_of,
)
from lukasa.agents.learning import ALONE, Sharing
from lukasa.ground.mistakes import UserError, as_user_error
from lukasa.launch.kinds.continual.experiment import ContinualExperiment
from lukasa.launch.kinds.continual.recipes import CONTINUAL
from lukasa.launch.runs.checkpoints import to_plain
from lukasa.launch.runs.directory import Run
from lukasa.launch.runs.endings import Outcome, Resume
from lukasa.launch.training import by_batch
from lukasa.launch.training.loop import Worker
from lukasa.tasks.continual import Stream, make_stream

METHOD_SEED = 3_000_000
"""Added to the seed of what a method draws, such as the examples that it keeps."""


def load_stream(experiment: ContinualExperiment) -> Stream:
    """The stream of an experiment.

    Raises:
        UserError: an option cannot be used, or there is not so much data.
        memory.UnknownNameError: the stream or an option is unknown.
        tasks.DataError: the data is not available.
    """
    with as_user_error():
        return make_stream(experiment.stream, **experiment.dataset).load()


def build_method(experiment: ContinualExperiment, stream: Stream, sharing: Sharing = ALONE) -> Method:
    """The method of an experiment before it learned anything; its weights follow from the seed.

    Raises:
        UserError: the method or the model cannot have these options, or not for this stream.
        memory.UnknownNameError: the method, the model or an option is unknown.
    """
    torch.manual_seed(experiment.seed)

    def build(**layer: Any) -> Network:
        options = experiment.model_options
        network = make_network(stream, experiment.chosen_model, options, task_known=experiment.task_known, **layer)
        return network.to(experiment.device)

    generator = torch.Generator().manual_seed(METHOD_SEED + experiment.seed)
    with as_user_error():
        method = make_method(experiment.method, Setting(stream, build, generator, sharing), **experiment.options)
    method.module.to(experiment.device)
    return method


def batches_of_a_task(experiment: ContinualExperiment, stream: Stream) -> int:
    """How many batches each task has.

    Raises:
        UserError: a batch, or all batches of a task, are larger than a task whose examples are seen once.
    """
    least = min(len(one.tasks) for one in stream.train)
    if not experiment.once:
        return math.ceil(experiment.task_steps / experiment.batch_size)
    if experiment.batch_size > least:
        raise UserError(
            f"--batch-size {experiment.batch_size} is more than the {least:,} examples of a task, which are seen once: "
            "take a smaller batch, or leave --once out"
        )
    if experiment.task_steps > least:
        raise UserError(
            f"--task-steps {experiment.task_steps:,} is more than the {least:,} examples of a task, which are seen "
            "once: take fewer, or leave --once out"
        )
    return max(1, experiment.task_steps // experiment.batch_size)


def within_stream(experiment: ContinualExperiment) -> ContinualExperiment:
    """The experiment with no more steps than the stream has."""
    stream = load_stream(experiment)
    whole = len(stream) * batches_of_a_task(experiment, stream) * experiment.batch_size
    return replace(experiment, steps=min(experiment.steps, whole))


def make_trainer(experiment: ContinualExperiment, sharing: Sharing = ALONE) -> StreamTrainer:
    """The trainer of an experiment, before its first batch.

    Args:
        experiment: what to train, with no more steps than its stream has.
        sharing: the processes that share its batches.

    Raises:
        UserError: an option cannot be used.
        memory.UnknownNameError: a name is unknown.
        tasks.DataError: the data is not available.
    """
    stream = load_stream(experiment)
    method = build_method(experiment, stream, sharing)
    batches = batches_of_a_task(experiment, stream)
    source = StreamSource(stream, experiment.batch_size, batches, together=method.sees_all)
    return StreamTrainer(by_batch.make_trainer(experiment, "continual", method, source, sharing))


class ContinualJob(by_batch.BatchJob):
    """A method and its stream, as ``lukasa.launch.training.loop`` sees them.

    Args:
        experiment: what is trained.
        sharing: the processes that share its batches.
    """

    # Of a stream the last checkpoint counts: the first ones know fewer tasks, and know them better.
    scores_compare = False
    score_key = "average_accuracy"

    def __init__(self, experiment: ContinualExperiment, sharing: Sharing = ALONE):
        self.lessons = make_trainer(experiment, sharing)
        super().__init__(experiment, self.lessons.trainer, CONTINUAL)
        self.trainer = self.lessons

    @classmethod
    def train(
        cls, run: Run, experiment: ContinualExperiment, resume: Resume | None, worker: Worker | None = None
    ) -> Outcome:
        """As every job, to the end of the stream at the longest."""
        return super().train(run, within_stream(experiment), resume, worker)

    def standing(self) -> tuple[float | None, str]:
        """A guess, and the task of now."""
        stream = self.lessons.stream
        task = f"task {self.lessons.task + 1} of {len(stream)}: {stream.names[self.lessons.task]}"
        return stream.chance(self.experiment.task_known), task

    def line(self, seconds: float, before: dict[str, Any], *, writes: bool) -> dict[str, Any] | None:
        """As every job; the end of a task makes a line as well."""
        every = self.experiment.report_every
        full = len(self._window) * self.experiment.batch_size >= every
        if not full and not self.lessons.task_is_over and self.done < self.experiment.steps:
            return None
        experiment, self.experiment = self.experiment, replace(self.experiment, report_every=1, validate_every=None)
        try:
            return super().line(seconds, before, writes=writes)
        finally:
            self.experiment = experiment

    def measure(self) -> dict[str, Any]:
        """Accuracies on all tasks and what follows from them, over the tasks so far."""
        lessons = self.lessons
        over = lessons.task_is_over
        found = lessons.matrix[-1] if over else accuracies(lessons.method, lessons.stream)
        matrix = lessons.matrix if over else [*lessons.matrix, found]
        row = asdict(scores_of(matrix, lessons.before))
        return {"level": lessons.task, "accuracies": found, **row, "memory_bytes": lessons.method.bytes}


def method_in(state: dict[str, Any], experiment: ContinualExperiment) -> tuple[StreamTrainer, Stream]:
    """The trained method of a checkpoint's state, in a trainer that knows its matrix.

    Raises:
        UserError: an option cannot be used.
    """
    lessons = make_trainer(within_stream(replace(experiment, start_from=None)))
    lessons.load_state_dict(to_plain(state)["trainer"])
    return lessons, lessons.stream
