"""How this program was started, how its commands are written, and which errors are faults."""

from __future__ import annotations

import errno
import functools
import os
import shlex
import shutil
import sys
import warnings
from pathlib import Path
from typing import Any

from lukasa.ground.mistakes import TrainingError


def program() -> str:
    """How this command was started, so that a command we print can be copied: it need not be on the PATH."""
    started = Path(sys.argv[0])
    if started.name == "__main__.py":
        return f"{shlex.quote(sys.executable)} -m lukasa.launch"
    found = shutil.which("lukasa")
    if started.name != "lukasa" or (found and Path(found).resolve() == started.resolve()):
        return "lukasa"
    return shlex.quote(str(started))


def command(*words: str | Path) -> str:
    """A command line of ours that can be pasted into a shell, whatever characters the names of folders have.

    Example:
        >>> command("eval", Path("my runs/x"), "--json").endswith("eval 'my runs/x' --json")
        True
    """
    return f"{program()} {' '.join(map(quoted, words))}"


def quoted(word: str | Path) -> str:
    """A word that a shell reads as it is; a path never looks like an option.

    Example:
        >>> quoted("a b"), quoted(Path("-x"))
        ("'a b'", './-x')
    """
    plain = f"./{word}" if isinstance(word, Path) and str(word).startswith("-") else str(word)
    if plain.isprintable():
        return shlex.quote(plain)
    return "$'" + "".join(map(_escaped, plain)) + "'"  # one line, whatever is in it


def _escaped(letter: str) -> str:
    if letter in "\\'":
        return f"\\{letter}"
    return letter if letter.isprintable() else "".join(f"\\x{byte:02x}" for byte in os.fsencode(letter))


def one_line(error: BaseException | str) -> str:
    """A message without line breaks; spaces stay as they are, which names of folders may have.

    Example:
        >>> one_line("run 'a  b'" + chr(10) + "  is no run")
        "run 'a  b' is no run"
    """
    return " ".join(line.strip() for line in str(error).splitlines() if line.strip())


@functools.cache
def plain_notes() -> None:
    """Once a process: show what our own libraries warn of as a note to a user, without file, line and code."""
    others = warnings.formatwarning
    ours = Path(__file__).resolve().parents[2]

    def shown(message: Any, category: type[Warning], filename: str, lineno: int, line: str | None = None) -> str:
        path = Path(filename).resolve()
        # A .venv may lie in our tree, with the libraries of others.
        inside = path.is_relative_to(ours) and "site-packages" not in path.relative_to(ours).parts
        if category is UserWarning and inside:
            return f"note: {one_line(str(message))}\n"
        return others(message, category, filename, lineno, line)

    warnings.formatwarning = shown


def refused_by_disk(error: OSError) -> str:
    """What to say when a disk does not take, or give, what a command writes or reads; empty for any other error.

    Example:
        >>> refused_by_disk(OSError(errno.ENOSPC, "No space left on device", "x.pdf"))
        'x.pdf cannot be written: No space left on device: make room there, or give another folder'
        >>> refused_by_disk(ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"))
        ''
    """
    what, why = error.filename or "a file", f"{error.strerror}: "
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"{what} cannot be written: {why}make room there, or give another folder"
    if error.errno == errno.EROFS:
        return f"{what} cannot be written: {why}give another folder"
    if error.errno in (errno.EACCES, errno.EPERM) and error.filename:
        return f"{what} cannot be used: {why}change its permissions, or give another folder"
    return ""


def faults() -> tuple[type[Exception], ...]:
    """The errors that are reported in one sentence and are nobody's misuse: what failed while it was at work."""
    failed = sys.modules.get("lukasa.envs")
    return (TrainingError, *((failed.EnvironmentFailedError,) if failed else ()))
