"""Indexes of a sparse memory: which written slots are nearest to a query."""

from lukasa.memory.sparse.indexes.choosing import INDEXES, IndexOptions, check_index_options, index_options, make_index
from lukasa.memory.sparse.indexes.interface import Contents, Index

__all__ = ["INDEXES", "Contents", "Index", "IndexOptions", "check_index_options", "index_options", "make_index"]
