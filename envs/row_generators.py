"""Randomness for environments that step many copies at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from gymnasium.utils import seeding

from lukasa.envs.streams import copy_seeds


class RowGenerators:
    """One random generator for each copy, so that a copy's episodes do not depend on how many copies there are.

    Seed ``s`` gives the copies ``envs.copy_seeds(s, rows)``, a list gives one seed to each copy, and None leaves a
    generator as it stands.

    Args:
        rows: number of copies.
    """

    def __init__(self, rows: int):
        self._generators = [seeding.np_random()[0] for _ in range(rows)]

    def seed(self, seed: int | Sequence[int | None] | None) -> None:
        """Seed every copy.

        Raises:
            ValueError: a list of seeds whose length is not the number of copies.
        """
        rows = len(self._generators)
        if seed is None:
            return
        seeds = copy_seeds(int(seed), rows) if isinstance(seed, int | np.integer) else seed
        if len(seeds) != rows:
            raise ValueError(f"{len(seeds)} seeds for {rows} environments: give one seed for each, or one number")
        for row, row_seed in enumerate(seeds):
            if row_seed is not None:
                self._generators[row], _ = seeding.np_random(row_seed)

    def __getitem__(self, row: int) -> np.random.Generator:
        return self._generators[row]
