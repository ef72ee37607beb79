"""A query-reduction network, which turns the question into an easier one sentence by sentence (Seo et al. 2017).

Legend: B batch, S sentences, D size of an embedding, G numbers of a gate (1 or D), K layers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lukasa.memory.readers.distinct import distinct_sentences
from lukasa.memory.readers.encodings import AnswerScores, Encoding, encode, word_embedding
from lukasa.memory.readers.reader import Asked, Reader, Reading, Sizes, check_asked, in_story

UNIT = math.sqrt(3)
"""Numbers drawn evenly from minus to plus this have a standard deviation of 1."""


class QueryReduction(Reader):
    """Layers of gated recurrence over the sentences; their states are the question, reduced further and further.

    With x_t the t-th sentence and q_t the question as it is known at that sentence, z_t = σ(W_z (x_t ∘ q_t) + b_z),
    h~_t = tanh(W_h [x_t; q_t] + b_h) and h_t = z_t h~_t + (1 − z_t) h_{t−1} (section 2.1). The next layer is asked the
    sum of the states forward and backward, about the same sentences (2.2). The last layer runs forward only, and its
    last state is scored. Neither gate nor candidate depends on h_{t−1}, so every state is a sum of candidates whose
    weights are known at once (section 3).

    Embeddings begin as wide as section 5.1 has them unless ``spread`` is given; the authors' code draws them between
    −√3 and √3. Which is better depends: from 1,000 questions no start of four learned bAbI's task 14 with the first,
    and from 10,000 task 18 was not learned with the second. Their gates begin as wide; so begun, more starts of tasks 3
    and 18 failed than with the weights of section 5.1, which are taken here.

    Args:
        sizes: of the questions.
        size: numbers of an embedding and of a state; the paper has 50, and 200 for 10,000 questions of a task.
        layers: how often the question is reduced (K).
        reset_gate: whether all layers but the last have a gate that takes candidates back, r_t = σ(W_r (x_t ∘ q_t))
            in h_t = z_t r_t h~_t + (1 − z_t) h_{t−1} (section 2.3); each direction has its own.
        vector_gates: use a gate for each number of the state rather than one for all of them (section 2.3).
        gate_bias: what is taken off the logits of z beside b_z, so that states last; the "forget bias" of section 5.1.
            A constant, which weight decay leaves alone.
        tied: whether all layers have the same weights, as in section 5.1.
        encoding: how sentences and the question are read: one that knows the words' places, or the bag of the words.
        decay: weight decay of all weights but biases, those that layers share once for each of these layers, as in the
            authors' code and not in the paper. It is added to the loss in training, in place of an optimizer's.
        spread: standard deviation of the embeddings at the beginning; 1/√D by default, and 1 in the authors' code.

    Raises:
        ValueError: ``decay`` or ``spread`` is negative or not finite.
    """

    def __init__(
        self,
        sizes: Sizes,
        *,
        size: int = 50,
        layers: int = 2,
        reset_gate: bool = True,
        vector_gates: bool = False,
        gate_bias: float = 2.5,
        tied: bool = True,
        encoding: Encoding = "position",
        decay: float = 0.0,
        spread: float | None = None,
    ):
        super().__init__(sizes)
        for name, number in {"decay": decay, "spread": spread or 0}.items():
            if not 0 <= number < math.inf:
                raise ValueError(f"{name} is {number}: expected a finite number, 0 or more")
        self.layers = layers
        self.decay = decay
        self.encoding: Encoding = encoding
        self.embedding = word_embedding(sizes, size)
        widest = UNIT * (1 / math.sqrt(size) if spread is None else spread)
        nn.init.uniform_(self.embedding, -widest, widest)
        # The last layer never resets; weights that serve no other have no such gate.
        resetting = [reset_gate and layers > 1] if tied else [reset_gate and k + 1 < layers for k in range(layers)]
        self.units = nn.ModuleList(Reduction(size, size if vector_gates else 1, gate_bias, one) for one in resetting)
        self.answer = AnswerScores(sizes, size, bias=False, spread=1 / math.sqrt(size))

    def forward(self, asked: Asked) -> Reading:
        """Answer questions; in training with ``decay``, the penalty is that of the weights."""
        check_asked(self.sizes, asked)
        silent = ~(in_story(asked) & asked.story.any(2))[..., None]  # [B, S, 1], where there is nothing to read
        units = self._units()
        sentences, *parts = self._sentences(asked.story)
        query = encode(asked.question, self.embedding, self.encoding)[:, None]  # [B, 1, D], the same at each sentence
        attention, resets = [], []
        for layer in range(self.layers - 1):
            unit, part = units[layer % len(units)], parts[layer % len(units)]
            logits, reset = unit.gates(sentences, query)
            logits = logits.masked_fill(silent, -math.inf)
            query = reduced_queries(logits, unit.candidates(part, query), reset)
            attention.append(torch.sigmoid(logits).mean(2))
            resets += [torch.stack([one.mean(2) for one in reset], 1)] if reset else []
        logits = units[-1].update(sentences, query).masked_fill(silent, -math.inf)
        weights = weights_of_last(logits)
        candidates = units[-1].candidates(parts[-1], query)
        scalar = weights.shape[2] == 1
        state = (weights.transpose(1, 2) @ candidates).squeeze(1) if scalar else (weights * candidates).sum(1)
        attention.append(torch.sigmoid(logits).mean(2))
        shown = {"weights": weights.mean(2)}  # [B, S], what each sentence has in the state that is scored
        if resets:
            shown["resets"] = torch.stack(resets, 1)  # [B, K - 1, 2, S], forward and backward
        penalty = self.decay / 2 * self.squares().expand(len(state)) if self.training and self.decay else None
        return Reading(self.answer(state), torch.stack(attention, 1), shown, penalty)

    def squares(self) -> Tensor:
        """The squares of all weights but biases, summed; of a weight that k layers have, k times."""
        units = self._units()
        total = self.embedding.square().sum() + sum(weights.square().sum() for weights in self.answer.parameters())
        for layer in range(self.layers):
            total = total + units[layer % len(units)].squares(resetting=layer + 1 < self.layers)
        return total

    def _units(self) -> list[Reduction]:
        return cast("list[Reduction]", list(self.units))

    def _sentences(self, story: Tensor) -> Sequence[Tensor]:
        """x, and what the W_h of each unit makes of it: each [B, S, D]."""
        words, places = distinct_sentences(story)
        vectors = encode(words, self.embedding, self.encoding)
        found = torch.cat([vectors, *(unit.of_sentences(vectors) for unit in self._units())], 1)
        return F.embedding(places, found).split(vectors.shape[1], 2)


class Reduction(nn.Module):
    """The weights of a layer (sections 2.1 and 2.3).

    Args:
        size: D.
        gate_size: G, 1 or D.
        gate_bias: what is taken off the logits of the update gate.
        resetting: whether it has reset gates.
    """

    gate_bias: Tensor

    def __init__(self, size: int, gate_size: int, gate_bias: float, resetting: bool):
        super().__init__()
        self.gate_size = gate_size
        # Saved with the weights, so that those of before it was a constant are known by its absence.
        self.register_buffer("gate_bias", torch.tensor(float(gate_bias)))
        self.register_load_state_dict_pre_hook(_with_constant_bias)
        self.candidate = nn.Linear(2 * size, size)
        self.gate = nn.Linear(size, gate_size * (3 if resetting else 1))  # W_z, then W_r forward and backward
        nn.init.xavier_uniform_(self.candidate.weight)
        for rows in self.gate.weight.data.split(gate_size):
            nn.init.xavier_uniform_(rows)
        nn.init.zeros_(self.candidate.bias)
        nn.init.zeros_(self.gate.bias)

    def of_sentences(self, sentences: Tensor) -> Tensor:
        """What W_h makes of sentences [..., D], which is the same in all layers that share it: [..., D]."""
        return F.linear(sentences, self.candidate.weight[:, : sentences.shape[-1]], self.candidate.bias)

    def candidates(self, part: Tensor, query: Tensor) -> Tensor:
        """h~ [B, S, D].

        Args:
            part: [B, S, D], of the sentences.
            query: [B, S, D], or [B, 1, D] where it is the same at each.
        """
        return torch.tanh(part + F.linear(query, self.candidate.weight[:, part.shape[2] :]))

    def update(self, sentences: Tensor, query: Tensor) -> Tensor:
        """Logits [B, S, G] of z."""
        return self._logits(sentences, query, self.gate_size) - self.gate_bias

    def gates(self, sentences: Tensor, query: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Logits [B, S, G] of z, and r [B, S, G] forward and backward where there are reset gates."""
        update, *reset = self._logits(sentences, query, len(self.gate.weight)).split(self.gate_size, 2)
        return update - self.gate_bias, tuple(torch.sigmoid(one) for one in reset)

    def squares(self, resetting: bool) -> Tensor:
        """The squares of the weights that a layer uses, summed; of the reset gates where it resets."""
        gates = self.gate.weight if resetting else self.gate.weight[: self.gate_size]
        return self.candidate.weight.square().sum() + gates.square().sum()

    def _logits(self, sentences: Tensor, query: Tensor, rows: int) -> Tensor:
        weight, bias = self.gate.weight[:rows], self.gate.bias[:rows]
        if query.shape[1] == 1 and self.gate_size == 1:  # the same, without a product for each sentence
            return sentences @ (query * weight).transpose(1, 2) + bias
        return F.linear(sentences * query, weight, bias)


def _with_constant_bias(unit: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Read weights of before the forget bias was a constant, when b_z began at minus it."""
    key, bias = f"{prefix}gate_bias", f"{prefix}gate.bias"
    if isinstance(unit, Reduction) and key not in state and bias in state:
        shifted = state[bias].clone()
        shifted[: unit.gate_size] += unit.gate_bias.to(shifted)
        state |= {key: unit.gate_bias.clone(), bias: shifted}


def reduced_queries(logits: Tensor, candidates: Tensor, reset: Sequence[Tensor] = ()) -> Tensor:
    """The states forward plus those backward, q_t of the next layer; Seo et al. 2017, sections 2.2 and 2.3.

    Args:
        logits: [B, S, G] of the update gates, -inf where nothing may change.
        candidates: [B, S, D].
        reset: gates [B, S, G] forward and backward; none takes nothing back.

    Returns:
        [B, S, D].
    """
    update = torch.sigmoid(logits)
    forward, backward = (update * one for one in reset) if reset else (update, update)
    if logits.shape[2] == 1:
        return _pair_weights(F.logsigmoid(-logits.squeeze(2)), forward, backward) @ candidates
    keep = torch.sigmoid(-logits)
    onward = gated_sums(keep, forward * candidates)
    return onward + gated_sums(keep.flip(1), (backward * candidates).flip(1)).flip(1)


def _pair_weights(log_keep: Tensor, forward: Tensor, backward: Tensor) -> Tensor:
    """How much of candidate i is in the query at t, [B, S, S]: the sum of both directions.

    Args:
        log_keep: [B, S], log(1 − z); the product of 1 − z over a stretch is the exponential of a difference of its sums
            from the first sentence on, which is never above 0.
        forward: [B, S, 1], z r of the direction in which i comes before t.
        backward: [B, S, 1], of the other.
    """
    through = log_keep.cumsum(1)
    until = through - log_keep
    places = torch.arange(log_keep.shape[1], device=log_keep.device)
    before, after = places[:, None] >= places, places[:, None] <= places
    # Π of 1 − z over i+1 … t where i comes first, over t … i−1 where t does; 1 where they are the same.
    product = torch.where(before, through[:, :, None] - through[:, None], until[:, None] - until[:, :, None]).exp()
    return product * torch.addcmul(before * forward.transpose(1, 2), after, backward.transpose(1, 2))


def weights_of_last(logits: Tensor) -> Tensor:
    """How much of each candidate is in the last state, z_i Π_{j>i} (1 − z_j): [B, S, G]; their sum is at most 1.

    Args:
        logits: [B, S, G] of the update gates, -inf where nothing may change.
    """
    log_keep = F.logsigmoid(-logits)
    after = F.pad(log_keep[:, 1:].flip(1).cumsum(1).flip(1), (0, 0, 0, 1))
    return torch.sigmoid(logits) * after.exp()


def gated_sums(keep: Tensor, add: Tensor) -> Tensor:
    """h_t = keep_t h_{t−1} + add_t for all t, with h_0 = 0: [B, S, D].

    Args:
        keep: [B, S, D].
        add: [B, S, D].
    """
    return _GatedSums.apply(keep, add)


class _GatedSums(torch.autograd.Function):
    """One pass over the sentences each way, in place; its gradient is a gated sum again, from the last one on."""

    generate_vmap_rule = True

    @staticmethod
    def forward(keep: Tensor, add: Tensor) -> Tensor:
        states = add.clone()
        for step in range(1, states.shape[1]):
            states[:, step].addcmul_(keep[:, step], states[:, step - 1])
        return states

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(inputs[0], output)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        keep, states = ctx.saved_tensors
        later = F.pad(keep[:, 1:], (0, 0, 0, 1))
        grad_add = gated_sums(later.flip(1), grads[0].flip(1)).flip(1)
        return grad_add * F.pad(states[:, :-1], (0, 0, 1, 0)), grad_add
