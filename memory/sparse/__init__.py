"""Sparse memory: millions of slots at a cost a step that does not grow with them (Rae et al. 2016)."""

from lukasa.memory.sparse.bounds import UnstorableError
from lukasa.memory.sparse.dictionary import NeuralDictionary
from lukasa.memory.sparse.handle import SparseMemory
from lukasa.memory.sparse.store import StaleStateError

__all__ = ["NeuralDictionary", "SparseMemory", "StaleStateError", "UnstorableError"]
