"""Differentiable neural dictionaries (Pritzel et al. 2017) of millions of entries, on the sparse store."""

from lukasa.memory.sparse.dictionary.changes import Changes, Mark
from lukasa.memory.sparse.dictionary.dictionary import NeuralDictionary

__all__ = ["Changes", "Mark", "NeuralDictionary"]
