"""The SAM of ixaxaar/pytorch-dnc with all slots written, beside ours in one run.

Legend: T steps of a sequence, N slots.
"""

from __future__ import annotations

import importlib
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from lukasa.benchmarks.contestants import HEADS, HIDDEN, INPUTS, READS, WORD, Timed, clustered_words, sequence

STEPS = 10
"""Steps of its sequences: a step copies the whole memory, and the copies of all steps wait for backward."""


@dataclass
class PublicSam(Timed):
    """A public SAM that runs sequence after sequence, its memory carried over.

    Attributes:
        core: its module.
        hidden: before the next sequence: controller, memories, what was read.
        times: milliseconds of processor time a step, forward and backward, of each sequence so far.
    """

    core: torch.nn.Module
    hidden: Any
    times: list[float] = field(default_factory=list)

    def run(self) -> None:
        """One sequence, forward and backward."""
        started = time.process_time()
        outputs, hidden = self.core(sequence(1, STEPS), self.hidden)
        outputs.square().mean().backward()
        self.times.append((time.process_time() - started) / STEPS * 1e3)
        self.hidden = _detached(hidden)


def public_sam(folder: Path, slots: int) -> PublicSam:
    """That of a checkout ``pytorch-dnc`` in a folder, all of its slots written.

    Args:
        folder: of the checkouts.
        slots: N.
    """
    import faiss

    # Its index names what FAISS has for GPUs alone, and sets an attribute that FAISS does not have, and now refuses: so
    # that it looks into one list, whatever it was asked for.
    for where, name in ((faiss, "GpuResources"), (faiss, "StandardGpuResources"), (faiss.IndexIVFFlat, "nprobes")):
        if not hasattr(where, name):
            setattr(where, name, object)
    sys.path.insert(0, str(folder / "pytorch-dnc"))
    try:
        module = importlib.import_module("dnc")
    finally:
        sys.path.remove(str(folder / "pytorch-dnc"))
    torch.manual_seed(0)
    sizes = {"cell_size": WORD, "read_heads": HEADS, "sparse_reads": READS, "independent_linears": False}
    core = module.SAM(INPUTS, HIDDEN, num_hidden_layers=1, nr_cells=READS, **sizes)
    # Built with N slots it would first build a dense memory of N^2 numbers, which it then drops.
    core.memories[0] = module.sam.SparseMemory(core.output_size, mem_size=slots, **sizes)
    _, hidden = core(sequence(1, 1), (None, None, None), reset_experience=True)
    hidden = _detached(hidden)
    held, memory = hidden[1][0], core.memories[0]
    held["memory"] = clustered_words(slots, WORD, torch.Generator().manual_seed(0))[:-1].unsqueeze(0)
    held["read_positions"] = torch.arange(slots - memory.c, slots).unsqueeze(0)
    memory.mem_limit_reached = True
    # Between sequences it would fill its index anew, for one row with an error; every step does so anyway.
    memory.rebuild_indexes = lambda hidden, erase=False: hidden
    return PublicSam(core, hidden)


def _detached(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.detach()
    if isinstance(value, dict):
        return {name: _detached(part) for name, part in value.items()}
    return type(value)(map(_detached, value)) if isinstance(value, list | tuple) else value
