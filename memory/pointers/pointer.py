"""What every model that answers a set of points with pointers shares.

Legend: B batch, N points, F numbers of a point, T steps of an answer with its end, H size of a state.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

LSTMState = tuple[Tensor, Tensor]
FEATURES = 2
"""Numbers of a point: those of a plane."""


class Encoded(NamedTuple):
    """A batch of sets of points, as the decoder looks at them."""

    points: Tensor  # [B, N, F]
    sizes: Tensor  # int64 [B], how many of the N are there
    states: Tensor  # [B, N, H], e_j: the encoder's after each point
    keys: Tensor  # [B, K, H], W_1 e_j; of all that can be pointed at, or looked at
    hidden: Tensor  # [B, H], the encoder's last, with which the decoder begins
    cell: Tensor  # [B, H]

    def repeated(self, times: int) -> Encoded:
        """Each set so many times, one copy after the other."""
        return Encoded(*(one.repeat_interleave(times, 0) for one in self))


class Step(NamedTuple):
    """One step of a decoder."""

    scores: Tensor  # [B, 1 + N], unnormalised log-probabilities of the end and of each point; -inf where there is none
    attention: Tensor  # [B, N], how much it looked at each point
    state: Any  # a tuple of tensors [B, ...]


class Pointer(nn.Module):
    """A model that points: sets of points in, and a score for the end and for each point at every step.

    A model is made with the most points of a set that it is trained on, and options by keyword.
    Subclasses give ``encode``, ``begin``, ``step`` and ``forward``. Choice 0 is the end, choice j + 1 is point j.
    """

    most: int | None = None
    """The most points of a set; None for any number."""

    def encode(self, points: Tensor, sizes: Tensor) -> Encoded:
        """Read sets of points.

        Args:
            points: [B, N, F].
            sizes: int64 [B], how many of the N are there, from 1 on.
        """
        raise NotImplementedError

    def begin(self, encoded: Encoded) -> Any:
        """The decoder's state before its first step: a tuple of tensors whose first axis is the batch."""
        raise NotImplementedError

    def step(self, encoded: Encoded, state: Any, chosen: Tensor | None) -> Step:
        """One step of the decoder.

        Args:
            encoded: the sets.
            state: of the step before.
            chosen: int64 [B], the choice of the step before; None at the first step.
        """
        raise NotImplementedError

    def forward(self, points: Tensor, sizes: Tensor, answers: Tensor) -> Tensor:
        """Scores of every step when those before it chose what is right.

        Args:
            points: [B, N, F].
            sizes: int64 [B].
            answers: int64 [B, T - 1], the points in the order of the answer; -1 after them.

        Returns:
            [B, T, 1 + N], those of the end and of each point.
        """
        raise NotImplementedError

    def check(self, points: Tensor) -> None:
        """Refuse sets that are too large.

        Raises:
            ValueError: there are more points than the model has outputs.
        """
        if self.most is not None and points.shape[1] > self.most:
            raise ValueError(
                f"a set has {points.shape[1]} points, and this model has outputs for {self.most}: give it fewer, "
                "or take the pointer network, which points at any number"
            )


def scored(answers: Tensor, lengths: Tensor) -> Tensor:
    """Which steps of an answer count: its pointers and its end, bool [B, T].

    Args:
        answers: int64 [B, T - 1].
        lengths: int64 [B], pointers of each answer.
    """
    return torch.arange(answers.shape[1] + 1, device=answers.device) <= lengths[:, None]


def choices_of(answers: Tensor) -> Tensor:
    """An answer, -1 after its points, as choices with an end, int64 [B, T].

    Example:
        >>> choices_of(torch.tensor([[2, 0, -1]])).tolist()
        [[3, 1, 0, 0]]
    """
    return torch.nn.functional.pad(answers + 1, (0, 1))


def answer_losses(scores: Tensor, answers: Tensor, lengths: Tensor) -> Tensor:
    """Surprise of each whole answer, in nats: -log p(C | P), equation 1 of Vinyals et al. 2015.

    Args:
        scores: [B, T, 1 + N].
        answers: int64 [B, T - 1], -1 after the answer.
        lengths: int64 [B], pointers of each answer.

    Returns:
        [B].
    """
    surprise = -torch.log_softmax(scores, -1).gather(-1, choices_of(answers)[..., None]).squeeze(-1)  # [B, T]
    return torch.where(scored(answers, lengths), surprise, 0.0).sum(1)


def run_lstm(lstm: nn.LSTM, inputs: Tensor, sizes: Tensor) -> tuple[Tensor, LSTMState]:
    """The states after each input, and the last ones, of rows of different lengths.

    Args:
        lstm: batch first, of one layer.
        inputs: [B, N, F].
        sizes: int64 [B], from 1 on.

    Returns:
        [B, N, H], 0 after the row; and the last hidden and cell states, each [B, H].
    """
    if bool((sizes == inputs.shape[1]).all()):
        states, (hidden, cell) = lstm(inputs)
    else:
        packed = pack_padded_sequence(inputs, sizes.cpu(), batch_first=True, enforce_sorted=False)
        packed_states, (hidden, cell) = lstm(packed)
        states, _ = pad_packed_sequence(packed_states, batch_first=True, total_length=inputs.shape[1])
    return states, (hidden[0], cell[0])


def initialise(module: nn.Module, width: float) -> None:
    """Draw every parameter uniformly from ±``width``, as section 4.1 of the paper.

    Raises:
        ValueError: ``width`` is negative.
    """
    if not 0 <= width < math.inf:
        raise ValueError(f"init is {width}: expected a number of at least 0")
    for one in module.parameters():
        nn.init.uniform_(one, -width, width)
