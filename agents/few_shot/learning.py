"""Learners of support/query episodes, their trainer and their score.

Dimensions: B episodes, N classes of an episode, K support examples of each, Q queries of each, M = N Q queries.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, final

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from lukasa.agents.sequence import ALONE, DivergenceError, Sharing, clip
from lukasa.ground.statistics import Interval, share_interval
from lukasa.memory.sparse import UnstorableError
from lukasa.tasks.episodes import Episode, Shots


class Learner(nn.Module):
    """Learns classes from a few examples and names others; the class of an example is its place along N.

    Attributes:
        shape: of one example.
        learns_from_episodes: whether it has anything that ``EpisodeTrainer`` can train.
    """

    learns_from_episodes: ClassVar[bool] = True

    def __init__(self, shape: Sequence[int]):
        super().__init__()
        self.shape = tuple(shape)

    def forward(self, support: Tensor, queries: Tensor) -> Tensor:
        """Name the queries.

        Args:
            support: [B, N, K, *shape].
            queries: [B, M, *shape].

        Returns:
            [B, M, N], log-probabilities up to a constant in each row.
        """
        raise NotImplementedError

    @final
    def loss(self, support: Tensor, queries: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy of the answers, nats per query: targets [B, M] int64 -> scalar."""
        return answer_loss(self(support, queries), targets)


def answer_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy, nats per query: logits [B, M, N] and targets [B, M] int64 -> scalar."""
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def right_answers(logits: Tensor, targets: Tensor) -> Tensor:
    """Percent of each episode's queries that are named right: [B, M, N] and [B, M] -> [B]."""
    return 100 * (logits.detach().argmax(-1) == targets).double().mean(-1)


def posed(learner: Learner, episode: Episode) -> tuple[Tensor, Tensor, Tensor]:
    """An episode as a learner reads it, on its device and in its dtype.

    Queries stay in the order of their classes: no learner may make anything of their places.

    Returns:
        Support [B, N, K, *shape], queries [B, M, *shape] and targets [B, M].
    """
    like = next(learner.parameters(), episode.support)
    ways, each = episode.query.shape[1:3]
    places = torch.arange(ways, device=like.device).repeat_interleave(each)
    support, queries = (part.to(like.device, like.dtype) for part in (episode.support, episode.query.flatten(1, 2)))
    return support, queries, places.expand(len(support), -1)


@dataclass(frozen=True)
class StepResult:
    """What one batch of episodes gave.

    Attributes:
        loss: nats per query, mean over the batch.
        accuracy: percent of the batch's queries, before the update.
        lr: the learning rate of the update.
    """

    loss: float
    accuracy: float
    lr: float


class EpisodeTrainer:
    """Draws episodes, and after each batch takes one step of gradient descent.

    Args:
        learner: what is trained, on its device.
        shots: draws the episodes; they may have more ways than those the learner is tested on.
        optimizer: of the learner's parameters.
        generator: decides, alone, which episodes are drawn and what the learner draws; a CPU generator.
        batch_size: episodes in a batch.
        schedule: of the learning rate, in batches; constant by default.
        clip_norm: largest Euclidean norm of the gradient.
        sharing: the processes that this one shares every batch with; none by default.

    Raises:
        ValueError: the learner has nothing to train, takes other examples, or ``batch_size`` is not positive or cannot
            be shared evenly.
    """

    def __init__(
        self,
        learner: Learner,
        shots: Shots,
        optimizer: Optimizer,
        generator: Generator,
        *,
        batch_size: int,
        schedule: LRScheduler | None = None,
        clip_norm: float | None = None,
        sharing: Sharing = ALONE,
    ):
        if not learner.learns_from_episodes:
            raise ValueError(f"{type(learner).__name__} learns nothing from episodes: evaluate it without training")
        if learner.shape != shots.examples.shape:
            raise ValueError(f"the learner takes examples of {learner.shape}, the episodes have {shots.examples.shape}")
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}: expected at least 1 episode")
        if batch_size % sharing.workers:
            raise ValueError(f"a batch of {batch_size} episodes cannot be shared evenly by {sharing.workers} workers")
        self.learner, self.shots, self.optimizer, self.generator = learner, shots, optimizer, generator
        self.batch_size, self.schedule, self.clip_norm, self.sharing = batch_size, schedule, clip_norm, sharing
        self.batches = 0

    @property
    def episodes(self) -> int:
        """Episodes trained on so far."""
        return self.batches * self.batch_size

    def step(self) -> StepResult:
        """Draw a batch of episodes and learn from it.

        Raises:
            DivergenceError: the loss or a gradient is not finite; the parameters are unchanged.
        """
        support, queries, targets = posed(self.learner, self._draw())
        self.learner.train()
        self.optimizer.zero_grad(set_to_none=True)
        try:
            logits = self._answers(support, queries)
        except UnstorableError as error:  # a sparse memory refuses what dense ones carry on to the loss
            raise DivergenceError(math.nan, self.batches + 1, _broken_groups(self.learner)) from error
        objective = answer_loss(logits, targets)
        objective.backward()
        self.sharing.average_gradients(self.learner.parameters())
        totals = self.sharing.totals([float(objective.detach()), float(right_answers(logits, targets).mean())])
        loss, accuracy = (total / self.sharing.workers for total in totals)
        broken = _broken_groups(self.learner)
        if broken or not math.isfinite(loss):
            raise DivergenceError(loss, self.batches + 1, broken)
        lr = float(self.optimizer.param_groups[0]["lr"])
        clip(self.learner.parameters(), None, self.clip_norm)
        self.optimizer.step()
        if self.schedule is not None:
            self.schedule.step()
        self.batches += 1
        return StepResult(loss, accuracy, lr)

    def state_dict(self) -> dict[str, Any]:
        """Everything that decides about the steps to come."""
        return {
            "learner": self.learner.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict() if self.schedule else None,
            "generator": self.generator.get_state(),
            "batches": self.batches,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state: the steps to come are those that would have come then, bit for bit."""
        self.learner.load_state_dict(state["learner"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.schedule:
            self.schedule.load_state_dict(state["schedule"])
        self.generator.set_state(state["generator"])
        self.batches = state["batches"]

    def _draw(self) -> Episode:
        """This process's episodes of the next batch."""
        whole = self.shots.sample(self.batch_size, self.generator)
        share = self.batch_size // self.sharing.workers
        return Episode(*(tensor[self.sharing.rank * share :][:share] for tensor in whole))

    def _answers(self, support: Tensor, queries: Tensor) -> Tensor:
        """The learner's logits, with what it draws on its own decided by the generator too."""
        seed = int(torch.randint(2**62, (), generator=self.generator))
        with torch.random.fork_rng(devices=[support.device] if support.is_cuda else []):
            torch.manual_seed(seed)
            return self.learner(support, queries)


def _broken_groups(learner: Learner) -> list[str]:
    """The parts of a learner that have a gradient which is not finite."""
    broken = {
        name.partition(".")[0]: None
        for name, parameter in learner.named_parameters()
        if parameter.grad is not None and not bool(parameter.grad.isfinite().all())
    }
    return list(broken)


@dataclass(frozen=True)
class Evaluation:
    """The result of ``evaluate_episodes``.

    Attributes:
        accuracy: percent of the queries, mean over episodes.
        interval: 95 % confidence interval of the accuracy, over episodes: Wilson's, of the spread between them.
        episodes: how many there were.
        loss: nats per query.
    """

    accuracy: float
    interval: Interval
    episodes: int
    loss: float


@torch.no_grad()
def evaluate_episodes(
    learner: Learner,
    shots: Shots,
    episodes: int,
    generator: Generator,
    *,
    batch_size: int = 16,
    observe: Callable[[Tensor, Episode], None] | None = None,
) -> Evaluation:
    """Score a learner on episodes.

    The learner is in evaluation mode meanwhile, and afterwards in the one it was in.

    Args:
        learner: who answers.
        shots: draws the episodes.
        episodes: how many.
        generator: decides which.
        batch_size: episodes answered at once.
        observe: called with the logits [B, M, N] of each batch and its episodes, for what else is to be measured.

    Raises:
        ValueError: there is no episode to score.
    """
    if episodes < 1 or batch_size < 1:
        raise ValueError(f"{episodes} episodes in batches of {batch_size} cannot be scored: expected at least 1 of 1")
    training = learner.training
    learner.eval()
    percents, losses = [], []
    try:
        for start in range(0, episodes, batch_size):
            episode = shots.sample(min(batch_size, episodes - start), generator)
            support, queries, targets = posed(learner, episode)
            logits = learner(support, queries)
            if observe is not None:
                observe(logits, episode)
            percents += right_answers(logits, targets).tolist()
            losses.append(float(answer_loss(logits, targets)) * len(support))
    finally:
        learner.train(training)
    mean = sum(percents) / episodes
    return Evaluation(mean, share_interval(percents, 100), episodes, sum(losses) / episodes)
