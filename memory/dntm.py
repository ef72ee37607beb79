"""Dynamic Neural Turing Machine: learned addresses beside contents, soft or discrete (Gulcehre et al. 2016).

Each slot has an address, which is learned and stays what it is, and a content, which is written. A head seeks both at
once, so where a word lies can matter as much as what it is. What a head sought lately it can be told to avoid, which
finds the least recently used slots.

Legend: B batch, D input width, K output width, N slots, A numbers of an address, C numbers of a content, W = A + C.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lukasa.memory.addressing import NORM_EPSILON, erase_and_add
from lukasa.memory.collecting import add_choice, add_cost
from lukasa.memory.controlled import Controlled, Shown
from lukasa.memory.controllers import WINDOW, Kind

Addressing: TypeAlias = Literal["soft", "straight_through", "reinforce"]

READ, WRITE = 0, 1
"""The two heads."""
KEPT = 0.1
"""Share of the moving average of scores that is kept from one addressing to the next; section 3.3."""


class DNTMState(NamedTuple):
    """Everything a D-NTM carries from one step to the next."""

    memory: Tensor  # [B, N, C], the contents
    recency: Tensor  # [B, 2, N], v of the head that reads and of the one that writes
    reads: Tensor  # [B, 1, W], address and content of what was read last
    controller: Any


class Heads(NamedTuple):
    """What the controller and the input tell the heads."""

    keys: Tensor  # [B, 2, W], k
    strengths: Tensor  # [B, 2], β, at least 1
    recency_gates: Tensor  # [B, 2], γ in [0, 1]; 1 avoids what was sought lately
    erase: Tensor  # [B, 1, C], e in [0, 1]
    input_gate: Tensor  # [B, 1], α in [0, 1]: how much of the input is written
    candidate: Tensor  # [B, 1, C], what is written


class Address(NamedTuple):
    """Where a head is, and how sure it was."""

    weights: Tensor  # [B, N], soft, or 1 at one slot
    recency: Tensor  # [B, N], v after it
    entropy: Tensor  # [B], nats, of the soft weights
    log_probability: Tensor  # [B], of the slot that was chosen


class DNTM(Controlled):
    """A dynamic NTM: a head that writes, and one that reads, perhaps several times in a row.

    With ``addressing="soft"`` it is differentiable as an NTM is. Both others are at one slot at a time.
    "straight_through" takes the most likely slot, and gradients flow as if the weights were soft. "reinforce" draws a
    slot in training and takes the most likely one in evaluation; how probable its choices were is handed out by
    ``memory.add_choice`` to a trainer that judges them.

    Args:
        input_size: D.
        output_size: K.
        slots: number of memory slots (N), the one of ``no_op`` included.
        word_size: numbers in the content of each slot (C).
        address_size: numbers in the learned address of each slot (A).
        addressing: how slots are addressed: "soft", "straight_through" or "reinforce".
        read_steps: how often the head reads at a step; each time it also goes by what it read before.
        no_op: whether the last slot is one to do nothing at: what is written there is lost and nothing is read.
        entropy_weight: weight of the entropy of all addressings, which is rewarded so that they stay undecided for
            longer (λ_H); handed out by ``memory.add_cost``.
        controller: kind of network that reads the input and steers the heads.
        controller_size: units in each layer of the controller.
        controller_layers: number of layers of the controller.
        controller_window: steps that controller "attention" looks back; the others have no window.
    """

    def __init__(
        self,
        input_size: int,
        output_size: int,
        *,
        slots: int = 128,
        word_size: int = 20,
        address_size: int = 20,
        addressing: Addressing = "soft",
        read_steps: int = 1,
        no_op: bool = True,
        entropy_weight: float = 0.0,
        controller: Kind = "gru",
        controller_size: int = 128,
        controller_layers: int = 1,
        controller_window: int = WINDOW,
    ):
        if no_op and slots < 2:
            raise ValueError(
                "option 'slots' of core 'dntm' is 1: expected at least 2, one of which does nothing (no_op)"
            )
        if entropy_weight < 0:
            raise ValueError(f"option 'entropy_weight' of core 'dntm' is {entropy_weight:g}: expected 0 or more")
        size = address_size + word_size
        widths = [2 * size, 2, 2, word_size, word_size, 1]
        super().__init__(
            input_size,
            output_size,
            controller=controller,
            controller_size=controller_size,
            controller_layers=controller_layers,
            controller_window=controller_window,
            read_size=size,
            interface_size=sum(widths),
        )
        self.slots, self.word_size, self.widths = slots, word_size, widths
        self.addressing, self.read_steps, self.no_op = addressing, read_steps, no_op
        self.entropy_weight, self.chooses = entropy_weight, addressing == "reinforce"
        self.addresses = nn.Parameter(nn.init.xavier_uniform_(torch.empty(slots, address_size)))
        self.of_input = nn.Linear(input_size, word_size + 1, bias=False)  # W_x, and the input's part of α
        self.of_read = nn.Linear(size, size, bias=False) if read_steps > 1 else None

    def initial_state(self, batch_size: int) -> DNTMState:
        """Empty contents that nobody has sought, a controller at rest."""
        zeros = self.interface.weight.new_zeros
        return DNTMState(
            memory=zeros(batch_size, self.slots, self.word_size),
            recency=zeros(batch_size, 2, self.slots),
            reads=zeros(batch_size, 1, self.of_input.out_features - 1 + self.addresses.shape[1]),
            controller=self.controller.initial_state(batch_size),
        )

    def steer(self, hidden: Tensor, inputs: Tensor) -> Tensor:
        """What the controller emits, and what the input adds to it."""
        return torch.cat([self.interface(hidden), self.of_input(inputs)], 1)

    def step(self, state: DNTMState, emitted: Tensor) -> tuple[DNTMState, Shown]:
        """Write, then read."""
        heads = self.parse(emitted)
        addresses = self.addresses.to(emitted.dtype).expand(len(emitted), -1, -1)
        write = self.address(torch.cat([addresses, state.memory], 2), heads, heads.keys[:, WRITE], WRITE, state.recency)
        written = self.without_no_op(write.weights).unsqueeze(1)
        memory = erase_and_add(state.memory, written, heads.erase, heads.candidate)
        words, recency, done = torch.cat([addresses, memory], 2), state.recency, [write]
        key = reads = heads.keys[:, READ]
        for number in range(self.read_steps):
            if number and self.of_read is not None:
                key = heads.keys[:, READ] + F.linear(reads, self.of_read.weight.to(reads.dtype))
            done.append(self.address(words, heads, key, READ, recency))
            reads = torch.bmm(self.without_no_op(done[-1].weights).unsqueeze(1), words).squeeze(1)
            recency = torch.stack([done[-1].recency, write.recency], 1)
        self._hand_out(done)

        def shown() -> dict[str, Tensor]:
            read = torch.stack([one.weights for one in done[1:]], 1)
            gates = {"recency_gates": heads.recency_gates.unsqueeze(1), "input_gate": heads.input_gate}
            return {"read": read, "write": write.weights.unsqueeze(1), "memory": memory, **gates}

        return DNTMState(memory, recency, reads.unsqueeze(1), state.controller), shown

    def address(self, words: Tensor, heads: Heads, key: Tensor, head: int, recency: Tensor) -> Address:
        """Where one head is, by the words [B, N, W] as they are."""
        scores = similarities(words, key, heads.strengths[:, head])
        logits = avoid_recent(scores, recency[:, head], heads.recency_gates[:, head])
        log_weights = torch.log_softmax(logits, 1)
        weights, chosen = self.decide(log_weights)
        entropy = -(log_weights.exp() * log_weights).sum(1)
        log_probability = log_weights.gather(1, chosen).squeeze(1)
        return Address(weights, KEPT * recency[:, head] + (1 - KEPT) * scores, entropy, log_probability)

    def decide(self, log_weights: Tensor) -> tuple[Tensor, Tensor]:
        """The weights [B, N] that are used, and one slot [B, 1]: the one drawn, or the most likely one."""
        soft = log_weights.exp()
        if self.addressing == "reinforce" and self.training:
            chosen = (soft.detach() / torch.empty_like(soft).exponential_()).argmax(1, keepdim=True)
        else:
            chosen = log_weights.argmax(1, keepdim=True)
        if self.addressing == "soft":
            return soft, chosen
        one = torch.zeros_like(soft).scatter(1, chosen, 1)
        return (one + (soft - soft.detach()) if self.addressing == "straight_through" else one), chosen

    def without_no_op(self, weights: Tensor) -> Tensor:
        """Weights [B, N] over the slots that hold something."""
        return F.pad(weights[:, :-1], (0, 1)) if self.no_op else weights

    def parse(self, emitted: Tensor) -> Heads:
        """Split and squash what the controller and the input emit; β = 1 + softplus, section 3.2."""
        *of_hidden, of_input = emitted.split([*self.widths, self.word_size + 1], 1)
        keys, strengths, recency_gates, erase, candidate, gate = of_hidden
        gate = torch.sigmoid(gate + of_input[:, -1:])
        return Heads(
            keys=keys.unflatten(1, (2, -1)),
            strengths=1 + F.softplus(strengths),
            recency_gates=torch.sigmoid(recency_gates),
            erase=torch.sigmoid(erase).unsqueeze(1),
            input_gate=gate,
            candidate=torch.relu(candidate + gate * of_input[:, :-1]).unsqueeze(1),
        )

    def _hand_out(self, done: list[Address]) -> None:
        """The choices of one step, and the price of being decided; both summed over all addressings."""
        if self.auxiliary is None:
            return
        if self.chooses and self.training:
            add_choice(self, torch.stack([one.log_probability for one in done]).sum(0))
        if self.entropy_weight > 0:
            add_cost(self, "entropy", -self.entropy_weight * torch.stack([one.entropy for one in done]).sum(0))


def similarities(words: Tensor, key: Tensor, strength: Tensor) -> Tensor:
    """How much each slot resembles a key; z_t[i] = β_t S(k_t, m_t[i]) with the cosine S, section 3.2.

    Args:
        words: [B, N, W], addresses and contents.
        key: [B, W], k.
        strength: [B], β.

    Returns:
        [B, N]; squared lengths get an epsilon, so that a key of zeros resembles nothing.
    """
    row_scale = (words.square().sum(2) + NORM_EPSILON).rsqrt()
    key_scale = (key.square().sum(1, keepdim=True) + NORM_EPSILON).rsqrt() * strength.unsqueeze(1)
    return torch.bmm(words, (key * key_scale).unsqueeze(2)).squeeze(2) * row_scale


def avoid_recent(scores: Tensor, recency: Tensor, gate: Tensor) -> Tensor:
    """Scores less what was sought lately; z_t − γ_t v_{t-1}, whose softmax are the weights, section 3.3.

    Args:
        scores: [B, N], z_t.
        recency: [B, N], v_{t-1}, the moving average of the scores before.
        gate: [B], γ_t in [0, 1].
    """
    return scores - gate.unsqueeze(1) * recency
