"""Learners of support/query episodes, their trainer and their score.

Dimensions: B episodes, N classes of an episode, K support examples of each, Q queries of each, M = N Q queries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any, ClassVar, NamedTuple, final

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from lukasa import memory
from lukasa.agents.learning import Constant, Evaluation, Learned, Trainer
from lukasa.agents.learning.evaluation import Answered, evaluation
from lukasa.tasks import Score
from lukasa.tasks.episodes import Episode, Shots


class Learner(nn.Module):
    """Learns classes from a few examples and names others; the class of an example is its place along N.

    Attributes:
        shape: of one example.
        learns_from_episodes: whether it has anything that ``episode_trainer`` can train.
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


def on_learner(learner: Learner, episode: Episode) -> tuple[Tensor, Tensor, Tensor]:
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


class Posed(NamedTuple):
    """Episodes, and a seed for what a learner draws on its own."""

    episode: Episode
    seed: int

    def rows(self, start: int, stop: int) -> Posed:
        """Some of the episodes."""
        return Posed(Episode(*(tensor[start:stop] for tensor in self.episode)), self.seed)


class Episodes(Constant):
    """Draws episodes to learn from; they may have more ways than those a learner is tested on.

    Args:
        shots: draws them.
    """

    def __init__(self, shots: Shots):
        self.shots = shots

    def sample(self, chosen: None, rows: int, generator: Generator) -> Posed:
        """So many episodes."""
        episode = self.shots.sample(rows, generator)
        return Posed(episode, int(torch.randint(2**62, (), generator=generator)))


class EpisodeLearner:
    """A learner of episodes, as ``lukasa.agents.learning.Trainer`` sees it.

    Args:
        learner: who learns, on its device.

    Raises:
        ValueError: it has nothing to train.
    """

    part = "learner"

    def __init__(self, learner: Learner):
        if not learner.learns_from_episodes:
            raise ValueError(f"{type(learner).__name__} learns nothing from episodes: evaluate it without training")
        self.module = learner

    def learn(self, posed: Posed) -> Learned:
        """Add the gradient of the mean loss of a query, nats, and of what cores cost, to that of the parameters."""
        support, queries, targets = on_learner(self.module, posed.episode)
        self.module.train()
        with torch.random.fork_rng(devices=[support.device] if support.is_cuda else []):
            torch.manual_seed(posed.seed)
            with ExitStack() as watching:
                cores = [part for part in self.module.modules() if isinstance(part, memory.Core)]
                collected = [watching.enter_context(memory.collect_auxiliary(core)) for core in cores]
                logits = self.module(support, queries)
        loss = answer_loss(logits, targets)
        costs = [cost for auxiliary in collected if (cost := auxiliary.cost()) is not None]
        sum(costs, loss).backward()
        return Learned(float(loss.detach()), Score(float(right_answers(logits, targets).mean()), 1))


def episode_trainer(
    learner: Learner, shots: Shots, optimizer: Optimizer, generator: Generator, **training: Any
) -> Trainer[EpisodeLearner, Episodes]:
    """A trainer of a learner on episodes.

    Args:
        learner: who is trained, on its device.
        shots: draws the episodes.
        optimizer: of the learner's parameters.
        generator: decides, alone, which episodes are drawn and what the learner draws; a CPU generator.
        **training: as in ``lukasa.agents.learning.Trainer``; ``batch_size`` has to be given.

    Raises:
        ValueError: the learner has nothing to train or takes other examples, or a number cannot be used.
    """
    learning = EpisodeLearner(learner)
    if learner.shape != shots.examples.shape:
        raise ValueError(f"the learner takes examples of {learner.shape}, the episodes have {shots.examples.shape}")
    return Trainer(learning, Episodes(shots), optimizer, generator, **training)


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

    def answers() -> Iterator[Answered]:
        for start in range(0, episodes, batch_size):
            episode = shots.sample(min(batch_size, episodes - start), generator)
            support, queries, targets = on_learner(learner, episode)
            logits = learner(support, queries)
            if observe is not None:
                observe(logits, episode)
            loss, percents = float(answer_loss(logits, targets)), right_answers(logits, targets).tolist()
            wrong = int((logits.argmax(-1) != targets).sum())
            yield Answered(loss * len(support), [Score(one, 1) for one in percents], wrong, targets.numel())

    training = learner.training
    learner.eval()
    try:
        return evaluation(answers(), "accuracy %")
    finally:
        learner.train(training)
