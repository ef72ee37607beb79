"""The Universal Transformer (Dehghani et al. 2019), with and without adaptive computation time.

Legend: B batch, S sentences, P positions of the question and the sentences, D size of a state, T steps.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lukasa.memory.halting import HaltingUnit, begin, ponder_cost
from lukasa.memory.readers.encodings import AnswerScores
from lukasa.memory.readers.reader import Asked, Reader, Reading, Sizes, check_asked
from lukasa.memory.readers.self_attention import Layer, Positions, check_heads, sinusoids


class UniversalTransformer(Reader):
    """One layer of self-attention, applied again and again to sentences and question.

    With P^t the sinusoids of position and step, X = H^{t−1} + P^t, A^t = LayerNorm(X + MultiHeadSelfAttention(X)) and
    H^t = LayerNorm(A^t + Transition(A^t)) (section 2.1). With ``act`` each position halts by itself (2.2; Graves 2016):
    its state is then only copied to the next step, and in the end it is the mean of its states, each weighted by its
    halting probability. Answers are scored from the question's position.

    A hop of the attention is a step: how much the question's position looked at each sentence, over all heads, and
    nothing once it has halted. With ``act``, ``shown`` has the "steps" [B, S] that each sentence took and the "question
    steps" [B].

    Args:
        sizes: of the questions.
        size: numbers of a position's state (D).
        heads: heads of the attention, a divisor of the size.
        steps: times that the layer is applied, at most with ``act`` (T).
        hidden: units of the transition.
        dropout: share of what each part of a step adds that is left out in training.
        act: whether each position decides how many steps it takes.
        ponder_cost: nats that each step of every position costs in training, averaged over the positions of a row.
        epsilon: probability short of 1 at which a position halts.

    Raises:
        ValueError: the size is not a multiple of the heads, ``epsilon`` is not between 0 and 1, or ``ponder_cost`` is
            negative.
    """

    def __init__(
        self,
        sizes: Sizes,
        *,
        size: int = 128,
        heads: int = 4,
        steps: int = 8,
        hidden: int = 512,
        dropout: float = 0.1,
        act: bool = False,
        ponder_cost: float = 0.001,
        epsilon: float = 0.01,
    ):
        super().__init__(sizes)
        check_heads(size, heads)
        if ponder_cost < 0:
            raise ValueError(f"ponder_cost is {ponder_cost:g}: expected 0 or more")
        self.steps, self.ponder_cost = steps, ponder_cost
        self.positions = Positions(sizes, size)
        self.dropout = nn.Dropout(dropout)
        self.layer = Layer(size, heads, hidden, dropout)
        self.halting = HaltingUnit(size, epsilon=epsilon) if act else None
        self.answer = AnswerScores(sizes, size)

    def forward(self, asked: Asked) -> Reading:
        """Answer questions; with ``act`` the penalty in training is what thinking costs."""
        check_asked(self.sizes, asked)
        states, inside, numbers = self.positions(asked)
        places = sinusoids(numbers, states.shape[2], states.dtype)
        states = self.dropout(states)
        if self.halting is not None:
            return self._read_adaptively(self.halting, states, inside, places)
        attention = []
        for step in range(self.steps):
            states, looked = self._step(step, states, inside, places)
            attention.append(looked)
        return Reading(self.answer(states[:, 0]), torch.stack(attention, 1))

    def _step(self, step: int, states: Tensor, inside: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """States [B, P, D], and how much the question's position looked at each sentence, [B, S]."""
        time = sinusoids(torch.tensor(step + 1, device=states.device), states.shape[2], states.dtype)
        states, looked = self.layer(states + places + time, inside)
        return states, looked[:, 1:]

    def _read_adaptively(self, unit: HaltingUnit, states: Tensor, inside: Tensor, places: Tensor) -> Reading:
        halting = begin(inside, states.dtype)
        mean, attention = torch.zeros_like(states), []
        for step in range(self.steps):
            running = halting.running
            after, looked = self._step(step, states, inside, places)
            weights, halting = unit(after, halting, last=step == self.steps - 1)
            mean = mean + weights[..., None] * after
            states = torch.where(running[..., None], after, states)
            attention.append(looked * running[:, :1])
            if not halting.running.any():
                break
        attention += [torch.zeros_like(attention[0])] * (self.steps - len(attention))
        shown = {"steps": halting.steps[:, 1:], "question steps": halting.steps[:, 0]}
        penalty = None
        if self.training and self.ponder_cost:
            penalty = self.ponder_cost * ponder_cost(halting).sum(1) / inside.sum(1)
        return Reading(self.answer(mean[:, 0]), torch.stack(attention, 1), shown, penalty)
