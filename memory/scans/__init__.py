"""Cores whose state is a linear recurrence, so that a whole sequence is one call whatever is reset inside it."""

from lukasa.memory.scans.ffm import FFM
from lukasa.memory.scans.lmu import LMU
from lukasa.memory.scans.lru import LRU
from lukasa.memory.scans.mingru import MinGRU

__all__ = ["FFM", "LMU", "LRU", "MinGRU"]
