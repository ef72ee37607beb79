"""How the compiled parts of a sparse memory are compiled, and kept beside those of ``memory/kernels/sequence``.

Importing this needs Numba.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

from lukasa.memory.kernels.sequence import compiling
from lukasa.memory.kernels.sequence.wide_vectors import WideCompiler

HERE = Path(__file__).parent
SOURCES = (HERE, HERE.parents[1] / "kernels" / "sparse_access")
COMPILED = (b"@compiled", b"import numba", b"from numba")
"""What the sources of compiled code hold."""


def _folder() -> str | None:
    """Where code is kept; another one for other sources, as Numba misses changes in functions that a kept one calls."""
    if compiling.FOLDER is None:
        return None
    everything = [path.read_bytes() for folder in SOURCES for path in sorted(folder.glob("*.py"))]
    sources = b"".join(text for text in everything if any(word in text for word in COMPILED))
    return str(compiling.FOLDER / hashlib.sha256(sources).hexdigest()[:16])


FOLDER = _folder()


def compiled(function: Callable[..., Any]) -> Any:
    """A decorator: compiled at the first call, without the interpreter's lock; sums keep their order."""
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}}
    options["pipeline_class"] = WideCompiler
    if FOLDER is None:
        return numba.njit(**options)(function)
    before = numba.config.CACHE_DIR  # pyright: ignore
    numba.config.CACHE_DIR = FOLDER  # pyright: ignore
    try:
        return numba.njit(cache=True, **options)(function)
    finally:
        numba.config.CACHE_DIR = before  # pyright: ignore


call = compiling.call
"""Call a compiled function; the first time for each kind of number, one process after another."""
