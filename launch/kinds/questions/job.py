"""Training of readers on questions: from an experiment to what ``lukasa.launch.training.loop`` trains."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from lukasa.agents.learning import ALONE, Sharing, SideBySide
from lukasa.agents.questions import Answered, QuestionLearner, QuestionSource, evaluate_questions, mean_surprise
from lukasa.ground.mistakes import UserError, as_user_error
from lukasa.launch.kinds.initial_weights import load_initial_weights
from lukasa.launch.kinds.questions.data import groups_of, load_questions, reader_sizes
from lukasa.launch.kinds.questions.experiment import QuestionExperiment
from lukasa.launch.kinds.questions.recipes import QUESTIONS
from lukasa.launch.runs.checkpoints import to_plain
from lukasa.launch.training import by_batch
from lukasa.memory.readers import Reader, make_reader
from lukasa.tasks.questions import QuestionSet

SEED_OF_A_READER = 1_000_003
"""Times the first task of a reader, beside the run's seed: readers of one run begin with other weights."""


def build_reader(experiment: QuestionExperiment, tasks: Sequence[int]) -> Reader:
    """The untrained reader of some tasks; its weights follow from the seed and the first of the tasks.

    Raises:
        UserError: the reader cannot have these options, or not for these questions.
        memory.UnknownNameError: the reader or an option is unknown.
        tasks.DataError: the questions are not available.
    """
    sizes = reader_sizes(experiment, tasks)
    torch.manual_seed(experiment.seed + (SEED_OF_A_READER * tasks[0] if experiment.apart else 0))
    with as_user_error():
        return make_reader(experiment.reader, sizes, **experiment.options).to(experiment.device)


def make_trainer(experiment: QuestionExperiment, sharing: Sharing = ALONE) -> SideBySide[Any, Any]:
    """The trainers of an experiment's readers, before their first batch.

    Args:
        experiment: what to train.
        sharing: the processes that share its batches.

    Raises:
        UserError: an option cannot be used.
        memory.UnknownNameError: the reader or an option is unknown.
        tasks.DataError: the questions are not available.
    """
    linear = experiment.options.get("linear_start") or 0
    if experiment.first_lr is not None and not linear:
        raise UserError("--first-lr is the learning rate of a linear start: add --options.linear-start BATCHES")
    first = (int(linear), experiment.first_lr) if experiment.first_lr is not None else None
    trainers = {}
    for name, tasks in groups_of(experiment).items():
        reader, questions = build_reader(experiment, tasks), load_questions(experiment, "train", tasks)
        if experiment.start_from:
            trained = partial(_trained_reader, name=name)
            load_initial_weights(reader, "questions", trained, experiment.start_from)
        learner = QuestionLearner(reader, counts_errors=questions.unit.startswith("error"))
        with as_user_error():
            source = QuestionSource(questions, experiment.batch_size, most=experiment.sentences, noise=experiment.noise)
        begins = replace(experiment, start_from=None)
        trainers[name] = by_batch.make_trainer(begins, "questions", learner, source, sharing, first)
    return SideBySide(trainers)


class QuestionJob(by_batch.BatchJob):
    """Readers and their questions, as ``lukasa.launch.training.loop`` sees them.

    Args:
        experiment: what is trained.
        sharing: the processes that share its batches.

    Attributes:
        kept: of each reader the weights of its lowest validation loss so far, and that loss; empty where the last
            weights are kept.
    """

    # Which weights count is said by ``keep``, and not by which line of metrics was luckiest.
    scores_compare = False

    def __init__(self, experiment: QuestionExperiment, sharing: Sharing = ALONE):
        self.readers = make_trainer(experiment, sharing)
        super().__init__(experiment, self.readers, QUESTIONS)
        self.unit = self.readers.first.source.questions.unit
        self.higher_is_better = not self.unit.startswith("error")
        self.kept: dict[str, dict[str, Any]] = {}
        self._groups = groups_of(experiment)
        self._validation: dict[str, QuestionSet] = {}

    def validate(self) -> float:
        """The mean score of the tasks on validation questions; keeps the readers that were never better."""
        found: list[Answered] = []
        for name, trainer in self.readers.trainers.items():
            reader = trainer.learner.reader
            answered = evaluate_questions(reader, self._unseen(name))
            loss = mean_surprise(answered)
            if self.experiment.keep == "best" and loss < self.kept.get(name, {}).get("loss", float("inf")):
                self.kept[name] = {"loss": loss, "reader": copy.deepcopy(reader.state_dict())}
            found += answered
        error = sum(one.error for one in found) / len(found)
        return error if not self.higher_is_better else 100 - error

    def _unseen(self, name: str) -> QuestionSet:
        """A reader's validation questions; loaded at the first validation, and kept for the others."""
        if name not in self._validation:
            self._validation[name] = load_questions(self.experiment, "validation", self._groups[name])
        return self._validation[name]

    def state(self) -> dict[str, Any]:
        """Of the trainers, and the readers that are kept."""
        return super().state() | {"kept": self.kept}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        super().restore(state)
        self.kept = dict(to_plain(state)["kept"])


def weights_in(state: dict[str, Any], name: str) -> dict[str, Any]:
    """The weights of a reader in a checkpoint: those that are kept, or the last.

    Raises:
        UserError: there is no such reader.
    """
    if name not in state["trainer"]:
        there = ", ".join(state["trainer"])
        raise UserError(f"the checkpoint has no reader of {name}: it has readers of {there}")
    kept = state.get("kept", {})
    return kept[name]["reader"] if name in kept else state["trainer"][name]["reader"]


def _trained_reader(state: dict[str, Any], name: str) -> dict[str, Any]:
    return weights_in(to_plain(state), name)
