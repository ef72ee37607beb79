"""Cores by name, with options checked before anything is built."""

from __future__ import annotations

import inspect
from typing import Any

from lukasa.ground.options import check_options, check_value, options_of, takes_any_option
from lukasa.ground.registry import Registry, is_own, subclass_of
from lukasa.memory.attention.compressive import CompressiveTransformer
from lukasa.memory.attention.gtrxl import GTrXL
from lukasa.memory.attention.memory_q import FRMQN, MQN, RMQN
from lukasa.memory.baselines import GRU, LSTM, FeedForward
from lukasa.memory.core import Core
from lukasa.memory.dam import DAM
from lukasa.memory.direct_access import DirectAccess
from lukasa.memory.dnc import DNC
from lukasa.memory.dntm import DNTM
from lukasa.memory.mann import MANN
from lukasa.memory.matrix_memories.gated_deltanet import GatedDeltaNet
from lukasa.memory.matrix_memories.mlstm import MLSTM
from lukasa.memory.matrix_memories.shm import SHM
from lukasa.memory.neural_map import NeuralMap
from lukasa.memory.ntm import NTM
from lukasa.memory.rmc import RMC
from lukasa.memory.sam import SAM
from lukasa.memory.scans import FFM, LMU, LRU, MinGRU
from lukasa.memory.sdnc import SDNC
from lukasa.memory.snail import SNAIL
from lukasa.memory.sparse.indexes import check_index_options
from lukasa.memory.stacks import ListRNN, StackRNN
from lukasa.memory.workbench import Workbench

CORES: Registry[type[Core]] = Registry(
    "core",
    {
        "ntm": NTM,
        "dnc": DNC,
        "sam": SAM,
        "dam": DAM,
        "sdnc": SDNC,
        "mann": MANN,
        "dntm": DNTM,
        "workbench": Workbench,
        "snail": SNAIL,
        "gtrxl": GTrXL,
        "compressive_transformer": CompressiveTransformer,
        "mqn": MQN,
        "rmqn": RMQN,
        "frmqn": FRMQN,
        "neural_map": NeuralMap,
        "mingru": MinGRU,
        "lru": LRU,
        "ffm": FFM,
        "lmu": LMU,
        "gated_deltanet": GatedDeltaNet,
        "mlstm": MLSTM,
        "shm": SHM,
        "rmc": RMC,
        "stack_rnn": StackRNN,
        "list_rnn": ListRNN,
        "direct_access": DirectAccess,
        "lstm": LSTM,
        "gru": GRU,
        "feedforward": FeedForward,
    },
    subclass_of(Core, "lukasa.memory.Core"),
)
"""Every core by the name that ``make_core`` and the command line know."""


def core_class(name: str) -> type[Core]:
    """The class of a core.

    Args:
        name: a key of ``CORES``, or the import path of a core of one's own, "package.module:Class".

    Raises:
        UnknownNameError: there is no such core, or it cannot be imported.
    """
    return CORES.find(name)


def core_options(name: str) -> dict[str, inspect.Parameter]:
    """The options of a core: name to parameter, with its default and its resolved type annotation.

    Raises:
        UnknownNameError: there is no such core.
    """
    return options_of(core_class(name), given=2 if is_own(name) else None)


def check_core_options(name: str, options: dict[str, Any]) -> None:
    """Refuse options that a core does not have, or values of another type.

    Raises:
        UnknownNameError: the core or one of the options is unknown.
        ValueError: a value is of another type, not among the choices, or a size that is not positive.
    """
    if is_own(name):
        if not takes_any_option(core_class(name)):
            check_options(f"core {name!r}", options, core_options(name), values=False)
        return
    known = core_options(name)
    check_options(f"core {name!r}", options, known, values=True)
    if {"core", "core_options"} <= known.keys():
        inner = options.get("core_options")
        if not isinstance(inner, dict | None):
            raise ValueError(f"option 'core_options' of core {name!r} is {inner!r}: expected options by name, or None")
        check_core_options(options.get("core", known["core"].default), inner or {})
    if {"index", "index_options"} <= known.keys() and {"index", "index_options"} & options.keys():
        given = options.get("index_options")
        _check_index_options(f"option 'index_options' of core {name!r}", given)
        check_index_options(options.get("index", known["index"].default), given or {})


def make_core(name: str, *, input_size: int, output_size: int, **options: Any) -> Core:
    """Build a core by name.

    Args:
        name: a key of ``CORES``, or the import path of a core of one's own, "package.module:Class".
        input_size: width of one input.
        output_size: width of one output.
        **options: the core's own options; the paper's values are the defaults.

    Raises:
        UnknownNameError: the name or an option is unknown; the message gives the nearest known one.
        ValueError: an option's value cannot be used.

    Example:
        >>> import torch
        >>> core = make_core("dnc", input_size=9, output_size=8, slots=64, word_size=16, read_heads=4)
        >>> output, state = core(torch.zeros(2, 9), core.initial_state(2))
        >>> output.shape
        torch.Size([2, 8])
    """
    check_core_options(name, options)
    for what, size in (("input_size", input_size), ("output_size", output_size)):
        check_value(f"option {what!r} of core {name!r}", size, int)
    build: Any = core_class(name)
    return build(input_size, output_size, **options)


def _check_index_options(where: str, value: Any) -> None:
    pairs = value.items() if isinstance(value, dict) else [] if value is None else [(None, None)]
    if not all(isinstance(name, str) and type(number) in (int, float) for name, number in pairs):
        raise ValueError(f"{where} is {value!r}: expected numbers by the names of options, or None")
