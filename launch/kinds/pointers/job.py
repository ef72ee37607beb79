"""Training of models that point: from an experiment to what ``lukasa.launch.training.loop`` trains."""

from __future__ import annotations

import torch

from lukasa.agents.learning import ALONE, Sharing, Trainer
from lukasa.agents.pointers import PointerLearner, PointSource, evaluate_pointing
from lukasa.ground.mistakes import as_user_error
from lukasa.launch.kinds.pointers.experiment import PointerExperiment, read_range
from lukasa.launch.kinds.pointers.recipes import POINTING
from lukasa.launch.training import by_batch
from lukasa.memory.pointers import Pointer, make_pointer
from lukasa.tasks.pointing import PointingTask, make_pointing_task, sample_points

VALIDATION_SEED = 2_000_000
"""Of the sets that are validated on, whatever the run's seed."""
VALIDATION_SETS = 1000
"""Of the largest size."""


def task_of(experiment: PointerExperiment) -> PointingTask:
    """What is answered.

    Raises:
        memory.UnknownNameError: there is no such task.
    """
    return make_pointing_task(experiment.task)


def build_model(experiment: PointerExperiment) -> Pointer:
    """The untrained model; its weights follow from the seed.

    Raises:
        UserError: an option cannot be used.
        memory.UnknownNameError: the model or an option is unknown.
    """
    _, most = read_range(experiment.points)
    torch.manual_seed(experiment.seed)
    with as_user_error():
        return make_pointer(experiment.model, most, **experiment.options).to(experiment.device)


def make_trainer(experiment: PointerExperiment, sharing: Sharing = ALONE) -> Trainer[PointerLearner, PointSource]:
    """The trainer of an experiment, before its first batch.

    Args:
        experiment: what to train.
        sharing: the processes that share its batches.

    Raises:
        UserError: an option cannot be used.
        memory.UnknownNameError: the model, the task or an option is unknown.
    """
    learner = PointerLearner(build_model(experiment))
    with as_user_error():
        source = PointSource(task_of(experiment), *read_range(experiment.points))
    return by_batch.make_trainer(experiment, "pointers", learner, source, sharing)


class PointerJob(by_batch.BatchJob):
    """A model and its sets of points, as ``lukasa.launch.training.loop`` sees it.

    Args:
        experiment: what is trained.
        sharing: the processes that share its batches.
    """

    unit = "exact %"
    # The last weights count: scores of single lines of metrics differ by luck alone.
    scores_compare = False

    def __init__(self, experiment: PointerExperiment, sharing: Sharing = ALONE):
        super().__init__(experiment, make_trainer(experiment, sharing), POINTING)

    def validate(self) -> float:
        """Percent of new sets of the largest size whose greedy answer, among those that are allowed, is right."""
        task, (_, most) = task_of(self.experiment), read_range(self.experiment.points)
        generator = torch.Generator().manual_seed(VALIDATION_SEED)
        sets = sample_points(task, VALIDATION_SETS, most, most, generator)
        return evaluate_pointing(self.trainer.learner.model, task, sets).exact

    def in_bits(self) -> bool:
        """The loss is the surprise of an answer."""
        return True
