"""Streams of tasks by name, with options checked before anything is loaded."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from lukasa.ground.names import UnknownNameError, unknown
from lukasa.ground.options import check_value, options_by_name
from lukasa.ground.registry import Registry
from lukasa.tasks.continual.algorithms import AlgorithmStream
from lukasa.tasks.continual.alphabets import OmniglotAlphabets
from lukasa.tasks.continual.pixels import PermutedPixels
from lukasa.tasks.continual.stories import BabiStream
from lukasa.tasks.continual.taught import Stream


@runtime_checkable
class StreamData(Protocol):
    """What makes a stream of tasks."""

    def load(self) -> Stream:
        """The stream: the same one every time.

        Raises:
            ValueError: there is not so much.
            lukasa.tasks.data.DataError: the files are not available, or broken.
        """
        ...


def _own(path: str, found: Any) -> Callable[..., StreamData]:
    if not callable(found):
        raise ValueError("expected a class or a function that makes a stream of tasks")
    made: Any = found
    return made


STREAMS: Registry[Callable[..., StreamData]] = Registry(
    "stream of tasks",
    {
        "omniglot_alphabets": OmniglotAlphabets,
        "permuted_pixels": PermutedPixels,
        "babi_stream": BabiStream,
        "algorithms": AlgorithmStream,
    },
    _own,
)
"""Every stream by the name that ``make_stream`` and the command line know."""


def stream_options(name: str) -> dict[str, inspect.Parameter]:
    """The options of a stream: name to parameter, with its default and its resolved type annotation.

    Raises:
        UnknownNameError: there is no such stream.
    """
    return options_by_name(STREAMS, name, given=0)


def make_stream(name: str, **options: Any) -> StreamData:
    """A stream of tasks by name; ``load`` gives its examples.

    Args:
        name: a key of ``STREAMS``, or "package.module:Name" of a class or function of your own.
        **options: its own options.

    Raises:
        UnknownNameError: the name or an option is unknown; the message gives the nearest known one.
        ValueError: an option's value cannot be used.

    Example:
        >>> stream = make_stream("omniglot_alphabets", tasks=3, classes=5, source="generated").load()
        >>> len(stream), stream.answers, stream.train[0].inputs.shape
        (3, 15, torch.Size([75, 28, 28]))
    """
    known = stream_options(name)
    for option, value in options.items():
        if option not in known:
            raise UnknownNameError(unknown(f"option of stream {name!r}:", option, known))
        check_value(f"option {option!r} of stream {name!r}", value, known[option].annotation, size=False)
    made = STREAMS.find(name)(**options)
    if not isinstance(made, StreamData):
        raise ValueError(f"stream {name!r} is a {type(made).__name__}: expected what has load()")
    return made
