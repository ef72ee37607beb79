"""What dynamic memory networks share: recurrent networks that gates let past most sentences, and gates that are taught.

Legend: B batch, S sentences, E episodes, F supporting sentences, D size of a state.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lukasa.memory.readers.reader import Asked, Sizes, in_story


def gated_gru(facts: Tensor, gates: Tensor, across: Tensor) -> Tensor:
    """The last state of a GRU that takes up a sentence as far as its gate is open; Kumar et al. 2016, section 2.3.

    With z, r = σ(W x + U h_{t−1} + b) and h~ = tanh(W x + r ∘ U h_{t−1} + b), its GRU gives z ∘ h_{t−1} + (1 − z) ∘ h~,
    and h_t = g_t GRU(x_t, h_{t−1}) + (1 − g_t) h_{t−1}.

    Args:
        facts: [B, S, 3 D], W x_t + b of z, of r and of h~ one beside another.
        gates: [B, S], g; where it is 0 the state stays as it was.
        across: [3 D, D], U of the same.

    Returns:
        [B, D].
    """
    size = across.shape[1]
    to_gates, to_new = facts[..., : 2 * size].unbind(1), facts[..., 2 * size :].unbind(1)
    state, turned = facts.new_zeros(len(facts), size), across.t()
    for gate_inputs, new_inputs, gate in zip(to_gates, to_new, gates.unsqueeze(2).unbind(1), strict=True):
        before = state @ turned
        keep, reset = (gate_inputs + before[:, : 2 * size]).sigmoid().split(size, 1)
        new = torch.addcmul(new_inputs, reset, before[:, 2 * size :]).tanh()
        state = torch.lerp(state, new, torch.addcmul(gate, gate, keep, value=-1))  # by g (1 − z)
    return state


def attention_gru(facts: Tensor, gates: Tensor, across: Tensor) -> Tensor:
    """The last state of a GRU whose update gate is the attention; "attention based GRU" in Xiong et al. 2016, 3.3.

    With r_i = σ(W x_i + U h_{i−1} + b) and h~_i = tanh(W x_i + r_i ∘ U h_{i−1} + b), h_i is
    g_i ∘ h~_i + (1 − g_i) ∘ h_{i−1}.

    Args:
        facts: [B, S, 2 D], W x_i + b of r and of h~ one beside the other.
        gates: [B, S], g; where it is 0 the state stays as it was.
        across: [2 D, D], U of the same.

    Returns:
        [B, D], the contextual vector c.
    """
    size = across.shape[1]
    to_reset, to_new = facts[..., :size].unbind(1), facts[..., size:].unbind(1)
    state, turned = facts.new_zeros(len(facts), size), across.t()
    for reset_inputs, new_inputs, gate in zip(to_reset, to_new, gates.unsqueeze(2).unbind(1), strict=True):
        reset, new = (state @ turned).split(size, 1)
        reset = (reset_inputs + reset).sigmoid()
        state = torch.lerp(state, torch.addcmul(new_inputs, reset, new).tanh(), gate)
    return state


def compare(facts: Tensor, other: Tensor) -> Tensor:
    """How sentences resemble the question or the memory, [f ∘ v; |f − v|]; parts of z in Xiong et al. 2016, 3.3.

    Args:
        facts: [B, S, D], f.
        other: [B, D], v.

    Returns:
        [B, S, 2 D].
    """
    other = other[:, None]
    return torch.cat([facts * other, (facts - other).abs()], 2)


def supporting_gates(asked: Asked, episodes: int) -> tuple[Tensor, Tensor]:
    """What the gates should be: the e-th episode looks at the e-th supporting sentence.

    Args:
        asked: questions with their support.
        episodes: how many there are (E).

    Returns:
        [B, E, S], 1 at the sentence and 0 elsewhere; and bool [B, E], which episodes have one.
    """
    support = F.pad(asked.support[:, :episodes], (0, max(0, episodes - asked.support.shape[1])), value=-1)  # [B, E]
    places = torch.arange(asked.story.shape[1], device=support.device)
    return (places == support[..., None]).float(), support >= 0


def surprise_of_gates(scores: Tensor, asked: Asked) -> Tensor:
    """Cross-entropy of sigmoid gates with the supporting sentences; E_CE(Gates) in Kumar et al. 2016, section 2.3.

    Args:
        scores: [B, E, S], of which the gates are the sigmoids.
        asked: the questions.

    Returns:
        [B], nats summed over sentences and over the episodes that have a supporting sentence.
    """
    wanted, known = supporting_gates(asked, scores.shape[1])
    counted = (known[..., None] & in_story(asked)[:, None]).to(scores.dtype)
    return F.binary_cross_entropy_with_logits(scores, wanted.to(scores.dtype), counted, reduction="none").sum((1, 2))


def surprise_of_attention(attention: Tensor, asked: Asked) -> Tensor:
    """Cross-entropy of attention that sums to 1 with the supporting sentences.

    Args:
        attention: [B, E, S].
        asked: the questions.

    Returns:
        [B], nats summed over the episodes that have a supporting sentence.
    """
    wanted, known = supporting_gates(asked, attention.shape[1])
    found = (attention * wanted.to(attention.dtype)).sum(2)
    tiny = torch.finfo(attention.dtype).tiny  # the logarithm of 0 is infinite
    return (torch.where(known, found, 1).clamp(min=tiny).log().neg()).sum(1)


def check_supervision(sizes: Sizes, episodes: int, supervision: float) -> None:
    """Refuse to teach fewer episodes than there are sentences to find.

    Raises:
        ValueError: a question has more supporting sentences than there are episodes, or the weight is negative.
    """
    if supervision < 0:
        raise ValueError(f"supervision is {supervision:g}: expected a weight of 0 or more")
    if supervision and sizes.supports > episodes:
        raise ValueError(
            f"a question has {sizes.supports} supporting sentences and there are {episodes} episodes, each of which is "
            f"taught one: give episodes={sizes.supports}, or supervision=0"
        )


def xavier(module: nn.Module) -> None:
    """Weights of linear layers and of GRUs as in Glorot & Bengio 2010, gate by gate, and biases of zero."""
    for part in module.modules():
        if isinstance(part, nn.Linear | nn.GRU | nn.GRUCell):
            size = part.hidden_size if isinstance(part, nn.GRU | nn.GRUCell) else part.out_features
            for parameter in part.parameters(recurse=False):
                if parameter.dim() == 1:
                    nn.init.zeros_(parameter)
                    continue
                for gate in parameter.data.split(size):
                    nn.init.xavier_uniform_(gate)
