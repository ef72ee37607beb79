"""Recurrent networks that move what they remember: continuous stacks and lists (Joulin & Mikolov 2015)."""

from lukasa.memory.stacks.list_rnn import ListRNN, ListRNNState
from lukasa.memory.stacks.stack_rnn import StackRNN, StackRNNState

__all__ = ["ListRNN", "ListRNNState", "StackRNN", "StackRNNState"]
