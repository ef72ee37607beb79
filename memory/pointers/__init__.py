"""Models that answer a set of points with pointers at some of them, in order."""

from lukasa.memory.pointers.attention_lstm import AttentionLSTM
from lukasa.memory.pointers.decoding import Decoded, decode, wiped
from lukasa.memory.pointers.pointer import Encoded, Pointer, Step, answer_losses, choices_of, run_lstm, scored
from lukasa.memory.pointers.pointer_network import PointerNetwork, pointer_scores
from lukasa.memory.pointers.registry import POINTERS, make_pointer, pointer_options
from lukasa.memory.pointers.rules import END, Rules

__all__ = [
    "END",
    "POINTERS",
    "AttentionLSTM",
    "Decoded",
    "Encoded",
    "Pointer",
    "PointerNetwork",
    "Rules",
    "Step",
    "answer_losses",
    "choices_of",
    "decode",
    "make_pointer",
    "pointer_options",
    "pointer_scores",
    "run_lstm",
    "scored",
    "wiped",
]
