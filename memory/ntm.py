"""The Neural Turing Machine (Graves, Wayne & Danihelka 2014, arXiv 1410.5401).

Legend: B batch, D input width, K output width, R read heads, P write heads, N slots, W word size, S shifts.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lukasa.memory import addressing
from lukasa.memory.controlled import Controlled, Shown
from lukasa.memory.controllers import WINDOW, Kind
from lukasa.memory.kernels.ntm_address import address

ADDRESSING = ("strengths", "interpolation_gates", "shifts", "sharpness")
"""What ``memory.record`` shows of the interface, of the read heads and of the write heads: β, g, s and γ."""


class NTMState(NamedTuple):
    """Everything an NTM carries from one step to the next."""

    memory: Tensor  # [B, N, W]
    read_weights: Tensor  # [B, R, N], sums to 1
    write_weights: Tensor  # [B, P, N], sums to 1
    reads: Tensor  # [B, R, W], what the heads read at the step before
    controller: Any


class Heads(NamedTuple):
    """What the controller tells the heads; the read heads come first."""

    keys: Tensor  # [B, R + P, W]
    strengths: Tensor  # [B, R + P], positive
    gates: Tensor  # [B, R + P], in [0, 1]
    shifts: Tensor  # [B, R + P, S], sums to 1
    sharpness: Tensor  # [B, R + P], at least 1
    erase: Tensor  # [B, P, W], in [0, 1]
    add: Tensor  # [B, P, W]


class NTM(Controlled):
    """Neural Turing Machine: the write heads write, then the read heads read the memory M_t of the same step.

    Args:
        input_size: D.
        output_size: K.
        slots: number of memory slots (N).
        word_size: numbers in each slot (W).
        read_heads: number of heads that read (R).
        write_heads: number of heads that write (P).
        shifts: number of neighbouring positions a head can move to, an odd number (S).
        controller: kind of network that reads the input and steers the heads.
        controller_size: units in each layer of the controller.
        controller_layers: number of layers of the controller.
        controller_window: steps that controller "attention" looks back; the others have no window.
        initial_reads: read vectors before the first step: "learned", or "constant" (zero).
        initial_weights: head weightings before the first step: "learned", or "first" (all on slot 0).
        initial_memory: number that fills the memory before the first step.
        learn_memory: learn what fills the memory at first, starting from that number, as in the paper.
        initial_motion: how heads move before training: "random", as random weights have it, or "tape": all heads step
            on by one slot at every step, write heads erase what they overwrite, and how far a read head follows behind
            a write head is the first thing to learn.
    """

    def __init__(
        self,
        input_size: int,
        output_size: int,
        *,
        slots: int = 128,
        word_size: int = 20,
        read_heads: int = 1,
        write_heads: int = 1,
        shifts: int = 3,
        controller: Kind = "lstm",
        controller_size: int = 100,
        controller_layers: int = 1,
        controller_window: int = WINDOW,
        initial_reads: Literal["learned", "constant"] = "learned",
        initial_weights: Literal["learned", "first"] = "learned",
        initial_memory: float = 1e-6,
        learn_memory: bool = False,
        initial_motion: Literal["random", "tape"] = "random",
    ):
        if shifts % 2 == 0 or shifts > slots:
            raise ValueError(
                f"option 'shifts' of core 'ntm' is {shifts}: expected an odd number, at most {slots} (slots)"
            )
        if initial_motion == "tape" and shifts < 3:
            raise ValueError(
                f"option 'shifts' of core 'ntm' is {shifts}: expected at least 3, for heads that step on like a tape"
            )
        heads = read_heads + write_heads
        # Fields that share a squashing function lie side by side, so that each function is called once.
        words = write_heads * word_size
        widths = [heads * word_size, 2 * heads, heads + words, heads * shifts, words]
        super().__init__(
            input_size,
            output_size,
            controller=controller,
            controller_size=controller_size,
            controller_layers=controller_layers,
            controller_window=controller_window,
            read_size=read_heads * word_size,
            interface_size=sum(widths),
        )
        self.slots, self.word_size, self.initial_memory = slots, word_size, initial_memory
        self.read_heads, self.write_heads, self.widths = read_heads, write_heads, widths
        self.initial_reads = nn.Parameter(torch.zeros(read_heads, word_size), requires_grad=initial_reads == "learned")
        self.initial_logits = nn.Parameter(torch.randn(heads, slots)) if initial_weights == "learned" else None
        content = torch.full((slots, word_size), float(initial_memory))
        self.initial_words = nn.Parameter(content) if learn_memory else None
        self.logit_scale = 1.0
        if initial_motion == "tape":
            self._begin_as_tape()

    def initial_state(self, batch_size: int) -> NTMState:
        """The initial memory, weightings and read vectors, a controller at rest."""
        memory = self.initial_reads.new_full((batch_size, self.slots, self.word_size), self.initial_memory)
        if self.initial_words is not None:
            memory = self.initial_words.expand_as(memory)
        if self.initial_logits is None:
            weights = memory.new_zeros(self.read_heads + self.write_heads, self.slots)
            weights[:, 0] = 1
        else:
            weights = torch.softmax(self.logit_scale * self.initial_logits, -1)
        read_weights, write_weights = weights.expand(batch_size, -1, -1).split([self.read_heads, self.write_heads], 1)
        reads = self.initial_reads.expand(batch_size, -1, -1)
        return NTMState(memory, read_weights, write_weights, reads, self.controller.initial_state(batch_size))

    def step(self, state: NTMState, emitted: Tensor) -> tuple[NTMState, Shown]:
        """Write, then read."""
        heads = self.parse(emitted)
        kinds = [self.read_heads, self.write_heads]
        readers, writers = zip(*(part.split(kinds, 1) for part in heads[:5]), strict=True)
        write_weights = address(state.memory, state.write_weights, *writers)
        memory = addressing.erase_and_add(state.memory, write_weights, heads.erase, heads.add)
        read_weights = address(memory, state.read_weights, *readers)
        reads = addressing.read(memory, read_weights)

        def shown() -> dict[str, Tensor]:
            named = {"read": read_weights, "write": write_weights, "memory": memory}
            named |= {f"read_{name}": part for name, part in zip(ADDRESSING, readers[1:], strict=True)}
            return named | {f"write_{name}": part for name, part in zip(ADDRESSING, writers[1:], strict=True)}

        return NTMState(memory, read_weights, write_weights, reads, state.controller), shown

    def parse(self, interface: Tensor) -> Heads:
        """Split and squash what the controller emits, [B, sum of widths]."""
        heads = self.read_heads + self.write_heads
        keys, positive, gates, shifts, add = interface.split(self.widths, 1)
        strengths, sharpness = F.softplus(positive).split(heads, 1)
        gates, erase = torch.sigmoid(gates).split([heads, self.write_heads * self.word_size], 1)
        return Heads(
            keys=keys.unflatten(1, (heads, -1)),
            strengths=strengths,
            gates=gates,
            shifts=torch.softmax(shifts.unflatten(1, (heads, -1)), -1),
            sharpness=1 + sharpness,
            erase=erase.unflatten(1, (-1, self.word_size)),
            add=add.unflatten(1, (-1, self.word_size)),
        )

    @torch.no_grad()
    def _begin_as_tape(self) -> None:
        """Biases with which every head steps on by one slot, whatever the controller sees; training can undo all of it.

        Weights that move a head start at a tenth of their size: what moves a little at random at every step is nowhere
        after thirty steps. So the weighting of a read head before the first step, which is learned, is how far behind
        the write heads it will read; its logits are held at a tenth, so that they come as far as other parameters do.
        """
        heads = self.read_heads + self.write_heads
        bias, weight = (part.split(self.widths) for part in (self.interface.bias, self.interface.weight))
        bias[1][heads:] = -5.0  # sharpness 1.007
        bias[2][:heads] = -6.0  # gates: 0.998 of where a head was, 0.002 of what its content is like
        bias[2][heads:] = 4.0  # erase: 0.98
        shifts = bias[3].view(heads, -1)
        shifts.zero_()
        shifts[:, shifts.shape[1] // 2 + 1] = 8.0  # by +1: 0.999
        for part in weight[2:4]:
            part.mul_(0.1)
        if self.initial_logits is not None:
            self.logit_scale = 10.0
            # Nearly even: a distance preferred by chance would have to be unlearned; heads have to differ a little.
            self.initial_logits.mul_(0.1 / self.logit_scale)
            writers = self.initial_logits[self.read_heads :]
            writers.zero_()
            for head in range(self.write_heads):
                writers[head, head * self.slots // self.write_heads] = 2.0
