"""What others report of sparse and dense memories, to stand beside our own numbers."""

from __future__ import annotations

PUBLIC_SAM = {1024: 1.95, 16384: 6.50, 65536: 37.9, 262144: 346.0}
"""ms a step by slots of the SAM of ixaxaar/pytorch-dnc: all slots written, forward and backward, one row, 4 read heads,
K = 4, words of 32, an LSTM of 100 units, 10 steps; two threads of another machine of this kind."""

PAPER_SLOTS_OF_TIME = 2**20
PAPER_MS = {"ntm": 12_000.0, "sam": 7.0}
"""Rae et al. 2016, figure 1a: one step, forward and backward, 1M words."""

PAPER_SLOTS_OF_MEMORY = 2**16
PAPER_EXTRA_MIB = 7.8
PAPER_DENSE_MIB = 29 * 1024.0
"""Rae et al. 2016, figure 1b: 100 steps, 64k words; SAM and the NTM."""
