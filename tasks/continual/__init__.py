"""Streams of tasks that are learned one after the other: alphabets, permuted pixels, stories, algorithms."""

from lukasa.tasks.continual.registry import STREAMS, StreamData, make_stream, stream_options
from lukasa.tasks.continual.stories import StorySizes, unpacked
from lukasa.tasks.continual.taught import Form, Stream, Taught, taught

__all__ = [
    "STREAMS",
    "Form",
    "StorySizes",
    "Stream",
    "StreamData",
    "Taught",
    "make_stream",
    "stream_options",
    "taught",
    "unpacked",
]
