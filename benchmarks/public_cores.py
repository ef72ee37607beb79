"""Public NTMs and DNCs, as functions of a sequence, where a folder holds their sources.

The folder has a checkout of each under its own name: ``pytorch-ntm`` of loudinthecloud, ``dnc`` of RobertCsordas and
``pytorch-dnc`` of ixaxaar, whatever of these is there.

Legend: B batch, T time, D input width.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

Run = Callable[[Tensor], Tensor]


def public(folder: Path, name: str, slots: int, word: int, heads: int, inputs: int, hidden: int) -> dict[str, Run]:
    """The public implementations of a core that lie in a folder.

    Args:
        folder: of the checkouts.
        name: of the core.
        slots: N.
        word: W.
        heads: that read.
        inputs: D, and of the outputs too.
        hidden: units of the LSTM.

    Returns:
        By the name of the repository, functions of inputs [B, T, D]; their outputs are of any shape.
    """
    sizes = slots, word, heads, inputs, hidden
    makers = {"ntm": {"pytorch-ntm": _pytorch_ntm}, "dnc": {"dnc": _dnc, "pytorch-dnc": _pytorch_dnc}}
    found = {}
    for repository, make in makers.get(name, {}).items():
        if (folder / repository).is_dir():
            sys.path.insert(0, str(folder / repository))
            try:
                found[repository] = make(*sizes)
            finally:
                sys.path.remove(str(folder / repository))
    return found


def _pytorch_ntm(slots: int, word: int, heads: int, inputs: int, hidden: int) -> Run:
    core = importlib.import_module("ntm.aio").EncapsulatedNTM(inputs, inputs, hidden, 1, heads, slots, word)

    def run(sequence: Tensor) -> Tensor:
        core.init_sequence(len(sequence))
        return torch.stack([core(step)[0] for step in sequence.unbind(1)], 1)

    return run


def _dnc(slots: int, word: int, heads: int, inputs: int, hidden: int) -> Run:
    warnings.filterwarnings("ignore", message="This overload of")
    module = importlib.import_module("Models.DNC")
    return module.DNC(inputs, inputs, word, slots, heads, module.LSTMController([hidden]), batch_first=True)


def _pytorch_dnc(slots: int, word: int, heads: int, inputs: int, hidden: int) -> Run:
    module = importlib.import_module("dnc")
    core = module.DNC(inputs, hidden, num_hidden_layers=1, nr_cells=slots, cell_size=word, read_heads=heads)
    return lambda sequence: core(sequence, (None, None, None), reset_experience=True)[0]
