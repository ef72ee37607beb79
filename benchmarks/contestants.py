"""A SAM whose memory is full, a dense NTM of the same size, and their time a step, all in turns.

Legend: B batch, T steps of a sequence, D input width, N slots, W word size, C clusters.
"""

from __future__ import annotations

import importlib.util
import statistics
import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lukasa import memory
from lukasa.memory.sparse.indexes.inverted_lists import EXACT_UP_TO

INPUTS, OUTPUTS, WORD, HEADS, READS, HIDDEN = 9, 8, 32, 4, 4, 100
"""The set-up of Rae et al. 2016, figure 1: an LSTM of 100 units, 4 access heads, K = 4, words of 32."""

WARM_UPS = 2
FILLED_AT_ONCE = 1 << 20
MOST_CLUSTERS = 4096


def use_one_thread() -> None:
    """Compute on one thread, in torch and in FAISS, which counts its own."""
    torch.set_num_threads(1)
    if importlib.util.find_spec("faiss") is not None:
        import faiss

        faiss.omp_set_num_threads(1)


def make_sam(slots: int, index: str) -> memory.Core:
    """An untrained SAM; its memory is empty.

    Args:
        slots: N.
        index: name of its index.
    """
    sizes: Any = {"slots": slots, "word_size": WORD, "heads": HEADS, "reads": READS, "controller_size": HIDDEN}
    torch.manual_seed(0)
    core: Any = memory.make_core("sam", input_size=INPUTS, output_size=OUTPUTS, index=index, **sizes)
    # A constant part would have every key point the same way, and every search look in the same place.
    core.interface.bias.data.zero_()
    return core


def make_ntm(slots: int) -> memory.Core:
    """An untrained dense NTM of the same controller and words; its 4 heads read and write, as those of SAM do.

    Args:
        slots: N.
    """
    sizes: Any = {"slots": slots, "word_size": WORD, "read_heads": HEADS, "write_heads": HEADS}
    torch.manual_seed(0)
    return memory.make_core("ntm", input_size=INPUTS, output_size=OUTPUTS, controller_size=HIDDEN, **sizes)


def full_state(core: Any, batch_size: int) -> Any:
    """The state of a SAM all of whose slots are written and were accessed in some order.

    Args:
        core: a SAM.
        batch_size: B.
    """
    state, generator = core.initial_state(batch_size), torch.Generator().manual_seed(0)
    store = state.memory.store
    rows = clustered_words(batch_size * core.slots, core.word_size, generator)
    store.adopt(rows, torch.full((batch_size,), core.slots))
    order = torch.stack([torch.randperm(core.slots, generator=generator) for _ in range(batch_size)])
    store.usage.restore(order)
    return state


def clustered_words(count: int, width: int, generator: torch.Generator) -> Tensor:
    """Words about as long as 1 around random centres, and behind them one of zeros: [count + 1, width]."""
    centres = F.normalize(torch.randn(min(MOST_CLUSTERS, max(1, count // 16)), width, generator=generator), dim=1)
    words = torch.empty(count + 1, width)
    for first in range(0, count, FILLED_AT_ONCE):
        part = words[first : min(first + FILLED_AT_ONCE, count)]
        chosen = torch.randint(len(centres), (len(part),), generator=generator)
        part.normal_(std=0.5 / width**0.5, generator=generator).add_(centres[chosen])
    words[-1] = 0
    return words


class Timed:
    """Takes part: ``run`` adds to its ``times``, in milliseconds a step."""

    times: list[float]

    def run(self) -> None:
        """One sequence, forward and backward."""
        raise NotImplementedError

    @property
    def median(self) -> float:
        """The usual time, in ms a step."""
        return statistics.median(self.times)

    def times_as_long_as(self, other: Timed) -> float:
        """The usual ratio of this one's time to another's in the same round."""
        return statistics.median(own / its for own, its in zip(self.times, other.times, strict=True))


@dataclass
class Contestant(Timed):
    """A core that runs sequence after sequence, its memory carried over.

    Attributes:
        core: the core.
        inputs: [B, T, D].
        state: before the next sequence.
        times: milliseconds of processor time a step, forward and backward, of each sequence so far.
        by_steps: whether it runs by the equations, step by step.
    """

    core: memory.Core
    inputs: Tensor
    state: Any
    times: list[float] = field(default_factory=list)
    by_steps: bool = False

    def forward(self) -> tuple[Tensor, Any]:
        """One sequence."""
        with memory.step_by_step() if self.by_steps else nullcontext():
            return memory.unroll(self.core, self.inputs, self.state)

    def run(self) -> None:
        """One sequence, forward and backward."""
        started = time.process_time()
        outputs, state = self.forward()
        outputs.square().mean().backward()
        self.times.append((time.process_time() - started) / self.inputs.shape[1] * 1e3)
        self.state = memory.detach_state(state)


def sam_contestant(slots: int, batch_size: int, steps: int, index: str) -> Contestant:
    """A SAM with a full memory.

    Args:
        slots: N.
        batch_size: B.
        steps: T.
        index: name of its index.
    """
    core = make_sam(slots, index)
    return Contestant(core, sequence(batch_size, steps), full_state(core, batch_size))


def before_contestant(slots: int, batch_size: int, steps: int) -> Contestant:
    """A SAM as it was before native code: the equations in PyTorch, an exact index, FAISS where that pays.

    Args:
        slots: N.
        batch_size: B.
        steps: T.
    """
    one = sam_contestant(slots, batch_size, steps, "exact" if slots <= EXACT_UP_TO else "faiss")
    one.by_steps = True
    return one


def ntm_contestant(slots: int, steps: int) -> Contestant:
    """A dense NTM by the equations, as it was: native code would keep what it needs beside the graph.

    Args:
        slots: N.
        steps: T.
    """
    core = make_ntm(slots)
    return Contestant(core, sequence(1, steps), core.initial_state(1), by_steps=True)


def index_ms(contestant: Contestant, steps: int) -> float:
    """Milliseconds of processor time that the index of a SAM takes a step: words are filed, and keys looked for.

    Args:
        contestant: whose index it is; its words are filed where they are already.
        steps: so many steps are timed, one after another, each row's in one call.
    """
    core: Any = contestant.core
    store, writes = contestant.state.memory.store, core.heads * (core.reads + 1)
    rows = store.layout.batch_size
    generator = torch.Generator().manual_seed(2)
    slots = torch.randint(core.slots, (steps * writes,), generator=generator).unique()
    words = store.view()[0, slots]
    keys = store.view()[:, torch.randint(core.slots, (steps * core.heads,), generator=generator)]
    keys = keys + 0.2 * torch.randn(keys.shape, generator=generator)
    started = time.process_time()
    store.index.update(torch.zeros_like(slots), slots, words)
    filing = (time.process_time() - started) / len(slots) * writes * rows
    started = time.process_time()
    store.index.search(keys, core.reads)
    return (filing + (time.process_time() - started) / steps) * 1e3


def sequence(batch_size: int, steps: int) -> Tensor:
    """Inputs [B, T, D] that differ from step to step."""
    return torch.randn(batch_size, steps, INPUTS, generator=torch.Generator().manual_seed(1))


def race(contestants: Iterable[Timed], rounds: int, tell: Callable[[str], None]) -> None:
    """Run all in turn, so that a change of the machine's speed meets all of them.

    Args:
        contestants: their ``times`` are replaced.
        rounds: sequences of each that count; some warm-ups come before.
        tell: is told of every round.
    """
    for turn in range(WARM_UPS + rounds):
        tell(f"timing: round {turn + 1} of {WARM_UPS + rounds}")
        for one in contestants:
            if turn == WARM_UPS:
                one.times.clear()
            one.run()
