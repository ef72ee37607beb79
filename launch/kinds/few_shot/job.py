"""Training of a learner on episodes: from an experiment to what ``lukasa.launch.training.loop`` trains."""

from __future__ import annotations

import torch

from lukasa.agents.few_shot import EpisodeLearner, Episodes, Learner, evaluate_episodes, make_learner
from lukasa.agents.learning import ALONE, Sharing, Trainer
from lukasa.ground.mistakes import UserError, as_user_error
from lukasa.launch.kinds.few_shot.data import make_data, make_shots, training_shots, validation_part
from lukasa.launch.kinds.few_shot.experiment import FewShotExperiment
from lukasa.launch.kinds.few_shot.recipes import FEW_SHOT
from lukasa.launch.training import by_batch
from lukasa.tasks.episodes import Shots

VALIDATED, VALIDATION_SEED = 200, 2
"""Episodes of a validation, and the seed that draws them."""

AT_ONCE = 640
"""Pictures that are shown at once where a learner is scored: what a small machine's memory holds."""


def build_learner(experiment: FewShotExperiment) -> Learner:
    """The untrained learner of an experiment; its weights follow from the seed.

    Raises:
        UserError: the learner cannot have these options.
        memory.UnknownNameError: the learner or an option is unknown.
    """
    torch.manual_seed(experiment.seed)
    shape = make_data(experiment).shape
    with as_user_error():
        learner = make_learner(experiment.learner, shape, experiment.ways, **experiment.options)
    return learner.to(experiment.device)


def make_trainer(experiment: FewShotExperiment, sharing: Sharing = ALONE) -> Trainer[EpisodeLearner, Episodes]:
    """The trainer of an experiment, before its first batch.

    Args:
        experiment: what to train.
        sharing: the processes that share its batches.

    Raises:
        UserError: an option cannot be used, or the learner has nothing to train.
        memory.UnknownNameError: the learner or an option is unknown.
        tasks.DataError: the data is not available.
    """
    learner, shots = build_learner(experiment), training_shots(experiment)
    if not learner.learns_from_episodes:
        raise UserError(
            f"learner {experiment.learner!r} learns nothing from episodes: choose another --learner; "
            "lukasa eval shows nearest pixels beside it"
        )
    return by_batch.make_trainer(experiment, "few-shot", EpisodeLearner(learner), Episodes(shots), sharing)


class FewShotJob(by_batch.BatchJob):
    """A learner and its episodes, as ``lukasa.launch.training.loop`` sees them.

    Args:
        experiment: what is trained.
        sharing: the processes that share its batches.
    """

    def __init__(self, experiment: FewShotExperiment, sharing: Sharing = ALONE):
        super().__init__(experiment, make_trainer(experiment, sharing), FEW_SHOT)

    def standing(self) -> tuple[float | None, str]:
        """A guess among the classes of an episode."""
        return 100 / self.experiment.ways, ""

    def validate(self) -> float:
        """The accuracy on episodes of classes that are not trained on, the same ones each time."""
        ways, shots = self.experiment.tested_on
        episodes = make_shots(self.experiment, validation_part(self.experiment), ways=ways, shots=shots)
        generator = torch.Generator().manual_seed(VALIDATION_SEED)
        learner = self.trainer.learner.module
        return evaluate_episodes(learner, episodes, VALIDATED, generator, batch_size=side_by_side(episodes)).score


def side_by_side(shots: Shots) -> int:
    """How many of these episodes to show at once where a learner is scored."""
    return max(1, AT_ONCE // (shots.ways * (shots.shots + shots.queries)))
