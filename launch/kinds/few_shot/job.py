"""Training of a learner on episodes: from an experiment to what ``lukasa.launch.training.loop`` trains."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from lukasa.agents.few_shot import EpisodeTrainer, Learner, evaluate_episodes, make_learner
from lukasa.agents.sequence import ALONE, Sharing, make_optimizer, make_schedule
from lukasa.ground.mistakes import UserError, as_user_error
from lukasa.launch.kinds.few_shot.data import make_data, make_shots, training_shots, validation_part
from lukasa.launch.kinds.few_shot.experiment import FewShotExperiment
from lukasa.launch.kinds.initial_weights import load_initial_weights
from lukasa.launch.runs.directory import Run
from lukasa.launch.runs.endings import Outcome, Resume
from lukasa.launch.training.loop import FIRST_SEED, Row, Worker, train_job
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


def make_trainer(experiment: FewShotExperiment, sharing: Sharing = ALONE) -> EpisodeTrainer:
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
    if experiment.start_from:
        load_initial_weights(learner, "few-shot", "learner", experiment.start_from)
    parameters = [one for one in learner.parameters() if one.requires_grad]
    with as_user_error():
        optimizer = make_optimizer(
            experiment.optimizer, parameters, experiment.lr, weight_decay=experiment.weight_decay
        )
    return EpisodeTrainer(
        learner,
        shots,
        optimizer,
        torch.Generator().manual_seed(FIRST_SEED + experiment.seed),
        batch_size=experiment.batch_size,
        schedule=_schedule(optimizer, experiment),
        clip_norm=experiment.clip_norm,
        sharing=sharing,
    )


def _schedule(optimizer: Optimizer, experiment: FewShotExperiment) -> LambdaLR:
    if experiment.schedule == "halving":
        return LambdaLR(optimizer, lambda batch: 0.5 ** (batch * experiment.batch_size // experiment.halve_every))
    batches = math.ceil(experiment.steps / experiment.batch_size)
    return make_schedule(optimizer, experiment.schedule, batches=batches, final=experiment.final_lr)


def train(run: Run, experiment: FewShotExperiment, resume: Resume | None, worker: Worker | None = None) -> Outcome:
    """Train until the episodes are done, the accuracy is reached or the user stops; saves before it returns.

    Args:
        run: a run directory that this process holds.
        experiment: what to train.
        resume: the checkpoint to continue from and its state.
        worker: what this process is among others; the only one when None.

    Raises:
        TrainingError: the loss or a gradient is not finite; names the last good checkpoint.
    """
    return train_job(run, experiment, resume, worker, make_trainer, FewShotJob)


@dataclass(frozen=True)
class FewShotJob:
    """A learner and its episodes, as ``lukasa.launch.training.loop`` sees them."""

    experiment: FewShotExperiment
    trainer: EpisodeTrainer
    unit: str = "accuracy %"
    higher_is_better: bool = True
    scores_compare: bool = True

    def standing(self) -> tuple[float | None, str]:
        """A guess among the classes of an episode."""
        return 100 / self.experiment.ways, ""

    def learn(self) -> Row:
        """Take one batch."""
        result = self.trainer.step()
        return {"loss": result.loss, "score_total": result.accuracy, "score_count": 1, "lr": result.lr}

    def measure(self) -> Row:
        """Nothing else."""
        return {}

    def validate(self) -> float:
        """The accuracy on episodes of classes that are not trained on, the same ones each time."""
        ways, shots = self.experiment.tested_on
        episodes = make_shots(self.experiment, validation_part(self.experiment), ways=ways, shots=shots)
        generator = torch.Generator().manual_seed(VALIDATION_SEED)
        learner = self.trainer.learner
        return evaluate_episodes(learner, episodes, VALIDATED, generator, batch_size=side_by_side(episodes)).accuracy


def side_by_side(shots: Shots) -> int:
    """How many of these episodes to show at once where a learner is scored."""
    return max(1, AT_ONCE // (shots.ways * (shots.shots + shots.queries)))
