"""Counts what the sparse memories of this process did, for metrics: an addition or two for each operation."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Traffic:
    """Counted since ``take`` was last asked.

    Attributes:
        reads: slots read.
        writes: slots written.
        filled: most slots that were in use in one row of one memory; counted on the CPU only, where looking is free.
    """

    reads: int = 0
    writes: int = 0
    filled: int = 0

    def take(self) -> Traffic:
        """What was counted; counting begins anew."""
        taken = Traffic(self.reads, self.writes, self.filled)
        self.reads = self.writes = self.filled = 0
        return taken


TRAFFIC = Traffic()
"""Of this process. Threads that count at once may lose a count: it is for metrics."""
