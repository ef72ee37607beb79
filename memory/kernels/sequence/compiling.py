"""How the functions of this folder are compiled, and where the compiled code is kept.

Numba compiles a function at its first call and keeps the machine code in a folder, so that the next process only loads
it. Import this module only where a kernel is about to run: Numba takes a second to import.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from filelock import FileLock, Timeout

from lukasa.memory.kernels.sequence.wide_vectors import ApartCompiler, WideCompiler

HERE = Path(__file__).parent
COMPILED = (b"@compiled(", b"import numba", b"from numba")
"""What the sources of compiled code hold."""
LOGGER = logging.getLogger(__name__)
LOCK_SECONDS = 300
"""Longer than compiling takes; who has waited so long compiles without the lock."""


def source_digest() -> str:
    """Names the folder by what is compiled: Numba itself would miss a change in a function that a kept one calls."""
    everything = [path.read_bytes() for path in sorted(HERE.parent.rglob("*.py"))]
    sources = b"".join(text for text in everything if any(word in text for word in COMPILED))
    return hashlib.sha256(sources + numba.__version__.encode()).hexdigest()[:16]


def code_folder() -> Path | None:
    """The first that can be written of Numba's own setting, beside this file, the user's cache, and a temporary one."""
    user = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    temporary = Path(tempfile.gettempdir()) / f"lukasa-kernels-{os.getuid() if hasattr(os, 'getuid') else 'user'}"
    chosen = [Path(numba.config.CACHE_DIR)] if numba.config.CACHE_DIR else []  # pyright: ignore
    for base in (*chosen, HERE / "__pycache__", user / "lukasa", temporary):
        folder = base / f"native-{source_digest()}"
        if _is_ours(folder):
            return folder
    return None


def _is_ours(folder: Path) -> bool:
    """Whether a file can be made there, and nobody else could have put code there."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        status = folder.stat()
        if hasattr(os, "getuid") and (status.st_uid not in (os.getuid(), 0) or status.st_mode & 0o002):
            return False
        with tempfile.NamedTemporaryFile(dir=folder):
            return True
    except OSError:
        return False


FOLDER = code_folder()


def compiled(*reassociate: str, entry: bool = False, apart: bool = False) -> Callable[[Callable[..., Any]], Any]:
    """A decorator: compiled at the first call, without the interpreter's lock.

    A product and a sum may become one operation (``contract``), which changes neither NaN nor infinity and is the same
    in every row. Sums over a vector may be taken in another, fixed order where ``reassociate`` is given; it must not be
    where the order of operations matters, as in the reduction of an argument, nor to a function that writes to an array
    (see ``algebra``) unless its arrays lie ``apart``: none of the arguments overlaps another. Of a loop that writes to
    several of them, or writes and sums, there is one version then, and it has vectors.
    Arrays are not counted (``_nrt``): they are made outside, where they stay until the call ends; counting takes an
    eighth of the time and longer to compile.
    Only an ``entry`` can be called from Python: what a call needs is larger than most functions.
    """
    flags = {"contract", *reassociate}
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": flags, "_nrt": False}
    options["pipeline_class"] = ApartCompiler if apart else WideCompiler
    if not entry:
        options |= {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}

    def compile_function(function: Callable[..., Any]) -> Any:
        if FOLDER is None:
            return numba.njit(**options)(function)
        before = numba.config.CACHE_DIR  # pyright: ignore
        numba.config.CACHE_DIR = str(FOLDER)  # pyright: ignore
        try:
            return numba.njit(cache=True, **options)(function)
        finally:
            numba.config.CACHE_DIR = before  # pyright: ignore

    return compile_function


@functools.cache
def _say_once() -> None:
    LOGGER.warning("compiling native code for cores, which takes a minute or two and is kept for later runs")


_ready: set[tuple[int, Any]] = set()


def call(function: Any, kind: Any, *arguments: Any) -> None:
    """Call a compiled function; the first time for each kind of number, one process after another.

    Two processes that keep code of the same function at once could mix it up.
    """
    key = (id(function), kind)
    if key in _ready or FOLDER is None:
        function(*arguments)
        return
    lock = FileLock(FOLDER / "compiling.lock")
    kept = FOLDER / f"{function.__module__}.{function.__name__}-{kind}.kept"
    with contextlib.suppress(Timeout, OSError):
        lock.acquire(timeout=LOCK_SECONDS)
    try:
        if not kept.exists():
            _say_once()
        function(*arguments)
        with contextlib.suppress(OSError):
            kept.touch()
    finally:
        lock.release()
    _ready.add(key)
