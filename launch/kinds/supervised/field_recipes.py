"""Recipes of `lukasa train task` for cores of the field, each on the task that its paper or its users know it by."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from lukasa.launch.kinds.supervised.experiment import CurriculumOptions, TaskExperiment

FAST = TaskExperiment(optimizer="adam", lr=1e-3, batch_size=32, clip_norm=10.0, schedule="cosine", final_lr=0.01)
"""Adam from a learning rate down to a hundredth of it."""


def nth_farthest_rmc() -> TaskExperiment:
    """A relational memory core says which of 8 vectors is the n-th farthest from another (Santoro et al. 2018)."""
    memory = {"slots": 8, "heads": 8, "head_size": 32, "mlp_layers": 2}
    return replace(FAST, task="nth_farthest", core="rmc", memory=memory, batch_size=64, steps=3_000_000)


def nth_farthest_lstm() -> TaskExperiment:
    """An LSTM says which of 8 vectors is the n-th farthest from another."""
    return replace(nth_farthest_rmc(), core="lstm", memory={"size": 512})


def nth_farthest_dnc() -> TaskExperiment:
    """A DNC says which of 8 vectors is the n-th farthest from another."""
    return replace(nth_farthest_rmc(), core="dnc", memory={"slots": 16, "word_size": 64, "controller_size": 256})


MOVING = {"rounding": "eval", "recurrent": False}
"""All that is remembered is in the stacks or lists, so that no hidden unit learns to count short strings instead."""


def _language(language: str, core: str, memory: dict[str, Any], steps: int = 100_000) -> TaskExperiment:
    """A language of Joulin & Mikolov 2015, short strings first."""
    lessons = json.dumps([{"min_n": 1, "max_n": longest} for longest in (3, 6, 10, 15, 20)])
    curriculum = CurriculumOptions(kind="lessons", lessons=lessons, mastery=98.0, window=50)
    task = f"stack_{language}"
    return replace(FAST, lr=3e-3, task=task, core=core, memory=memory, curriculum=curriculum, steps=steps)


def anbn_stack_rnn() -> TaskExperiment:
    """A stack RNN counts as many b as there were a; actions are rounded at test (Joulin & Mikolov 2015)."""
    return _language("anbn", "stack_rnn", MOVING)


def anbncn_stack_rnn() -> TaskExperiment:
    """A stack RNN counts a into one stack for the b and into another for the c (Joulin & Mikolov 2015)."""
    return _language("anbncn", "stack_rnn", MOVING, steps=400_000)


def anbncndn_stack_rnn() -> TaskExperiment:
    """A stack RNN counts a into three stacks, one for each letter that follows (Joulin & Mikolov 2015)."""
    return _language("anbncndn", "stack_rnn", MOVING, steps=400_000)


def anb2n_stack_rnn() -> TaskExperiment:
    """A stack RNN doubles: n times a, then twice as many b (Joulin & Mikolov 2015)."""
    return _language("anb2n", "stack_rnn", MOVING, steps=400_000)


def anbmcnm_stack_rnn() -> TaskExperiment:
    """A stack RNN adds: n times a, m times b, then c as often as both (Joulin & Mikolov 2015)."""
    return _language("anbmcnm", "stack_rnn", MOVING, steps=400_000)


def reversal_stack_rnn() -> TaskExperiment:
    """A stack RNN says words backwards (Joulin & Mikolov 2015)."""
    return _language("reversal", "stack_rnn", MOVING)


def reversal_list_rnn() -> TaskExperiment:
    """A list RNN says words backwards (Joulin & Mikolov 2015)."""
    return _language("reversal", "list_rnn", MOVING)


def reversal_lstm() -> TaskExperiment:
    """An LSTM says words backwards."""
    return _language("reversal", "lstm", {"size": 128})


def binary_addition_stack_rnn() -> TaskExperiment:
    """A stack RNN adds binary numbers, short ones first (Joulin & Mikolov 2015, section 5.2)."""
    lessons = json.dumps([{"min_digits": 1, "max_digits": longest} for longest in (2, 4, 6, 8, 10)])
    curriculum = CurriculumOptions(kind="lessons", lessons=lessons, mastery=98.0, window=50)
    memory = {"size": 100, "stacks": 10, "no_op": True, **MOVING}
    faster = replace(FAST, lr=3e-3, task="binary_addition", steps=500_000)
    return replace(faster, core="stack_rnn", memory=memory, curriculum=curriculum)


def parity_act() -> TaskExperiment:
    """A GRU that decides how long to think says whether a vector has an odd number of 1s (Graves 2016, 3.1)."""
    memory = {"core": "gru", "core_options": {"size": 128}, "max_steps": 20, "ponder_weight": 1e-3}
    sampler = {"size": 16, "max_numbers": 16}
    return replace(FAST, task="parity", sampler=sampler, core="act", memory=memory, batch_size=128, steps=2_000_000)


def parity_gru() -> TaskExperiment:
    """A GRU, which has one step to think, says whether a vector has an odd number of 1s."""
    return replace(parity_act(), core="gru", memory={"size": 128})


def running_sum_act() -> TaskExperiment:
    """An LSTM that decides how long to think adds decimal numbers (Graves 2016, section 3.3)."""
    memory = {"core": "lstm", "core_options": {"size": 256}, "size": 256, "max_steps": 10, "ponder_weight": 1e-3}
    return replace(FAST, task="running_sum", core="act", memory=memory, steps=2_000_000)


def running_sum_lstm() -> TaskExperiment:
    """An LSTM, which has one step to think, adds decimal numbers."""
    return replace(running_sum_act(), core="lstm", memory={"size": 256})


GAP = {"bits": 4, "min_length": 4, "max_length": 4, "pause": 64}
"""A gap of four times the window of those that have one."""


def gap_compressive_transformer() -> TaskExperiment:
    """A Compressive Transformer copies across a gap of four times its window (Rae et al. 2020)."""
    memory = {"length": 16, "compressed": 16, "rate": 4, "segment": 8, "layers": 1, "size": 64}
    return replace(FAST, task="copy", sampler=GAP, core="compressive_transformer", memory=memory, steps=200_000)


def gap_gtrxl() -> TaskExperiment:
    """A gated Transformer-XL with as large a state copies across a gap of four times its window."""
    return replace(gap_compressive_transformer(), core="gtrxl", memory={"length": 40, "layers": 1, "size": 64})


def mqar_gated_deltanet() -> TaskExperiment:
    """A gated DeltaNet recalls values of keys among random tokens (Arora et al. 2023)."""
    sampler = {"vocabulary": 34, "pairs": 8, "length": 48}
    memory = {"size": 128, "heads": 2, "layers": 2}
    return replace(FAST, task="mqar", sampler=sampler, core="gated_deltanet", memory=memory, steps=400_000)


def changing_pairs_workbench() -> TaskExperiment:
    """A workbench that overwrites what is alike keeps up with pairs that change their mind."""
    memory = {"writing": "most_similar", "word_size": 24}
    return replace(FAST, task="changing_pairs", core="workbench", memory=memory, steps=200_000)


FIELD_RECIPES: dict[str, Callable[[], TaskExperiment]] = {
    recipe.__name__: recipe
    for recipe in (
        nth_farthest_rmc,
        nth_farthest_lstm,
        nth_farthest_dnc,
        anbn_stack_rnn,
        anbncn_stack_rnn,
        anbncndn_stack_rnn,
        anb2n_stack_rnn,
        anbmcnm_stack_rnn,
        reversal_stack_rnn,
        reversal_list_rnn,
        reversal_lstm,
        binary_addition_stack_rnn,
        parity_act,
        parity_gru,
        running_sum_act,
        running_sum_lstm,
        gap_compressive_transformer,
        gap_gtrxl,
        mqar_gated_deltanet,
        changing_pairs_workbench,
    )
}
"""By name."""
