"""Readers: they look at a stored story, hop by hop, and answer a question about it."""

from lukasa.memory.readers.dmn import DMN
from lukasa.memory.readers.dmn_plus import DMNPlus
from lukasa.memory.readers.entity_network import EntityNetwork
from lukasa.memory.readers.fact_memory import FactMemory
from lukasa.memory.readers.fact_reader import FactReader, FactReading
from lukasa.memory.readers.kv_memory_network import KeyValueMemoryNetwork
from lukasa.memory.readers.memn2n import MemN2N
from lukasa.memory.readers.memory_network import MemoryNetwork
from lukasa.memory.readers.query_reduction import QueryReduction
from lukasa.memory.readers.reader import Asked, Reader, Reading, Sizes, surprise
from lukasa.memory.readers.recurrent import Recurrent
from lukasa.memory.readers.registry import READERS, check_reader_options, make_reader, reader_options
from lukasa.memory.readers.transformer import Transformer
from lukasa.memory.readers.universal_transformer import UniversalTransformer

__all__ = [
    "DMN",
    "READERS",
    "Asked",
    "DMNPlus",
    "EntityNetwork",
    "FactMemory",
    "FactReader",
    "FactReading",
    "KeyValueMemoryNetwork",
    "MemN2N",
    "MemoryNetwork",
    "QueryReduction",
    "Reader",
    "Reading",
    "Recurrent",
    "Sizes",
    "Transformer",
    "UniversalTransformer",
    "check_reader_options",
    "make_reader",
    "reader_options",
    "surprise",
]
