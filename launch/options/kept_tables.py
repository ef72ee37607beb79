"""Tables that take seconds to make, kept in a file as Python keeps compiled modules.

A table is made when it is first asked for, and made anew when a source file that it was made from has changed.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lukasa.ground.files import write_text


def kept(name: str, sources: Sequence[str], build: Callable[[], Any]) -> Any:
    """A table out of its file where that is up to date, else made anew.

    Args:
        name: of the file.
        sources: patterns of the source files that decide what it says, from the folder of all packages.
        build: makes it, of values that JSON has.
    """
    made_from = fingerprint(sources)
    for place in places(name):
        try:
            found = json.loads(place.read_text())
            if found["made_from"] == made_from:
                return found["table"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
    made = json.loads(json.dumps(build()))
    _keep(name, json.dumps({"made_from": made_from, "table": made}))
    return made


def fingerprint(sources: Sequence[str]) -> str:
    """Changes when a source file does, or this Python."""
    digest = hashlib.sha256(sys.version.encode())
    root = Path(__file__).resolve().parents[2]
    for pattern in sources:
        for path in sorted(root.glob(pattern)):
            status = path.stat()
            digest.update(f"{path} {status.st_mtime_ns} {status.st_size}\n".encode())
    return digest.hexdigest()


def places(name: str) -> list[Path]:
    """Where the table is looked for: beside the compiled modules, and where those cannot be written, in the cache."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    name = f"{name}.{sys.implementation.cache_tag}.json"
    return [Path(__file__).parent / "__pycache__" / name, caches / "lukasa" / name]


def _keep(name: str, text: str) -> None:
    for place in places(name):
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            write_text(place, text)
        except OSError:
            continue
        return
