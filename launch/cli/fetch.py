"""``lukasa fetch URI``: a run directory out of object storage."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lukasa.ground.mistakes import UserError
from lukasa.launch.options.fields import split_words
from lukasa.launch.options.parsing import parse
from lukasa.launch.options.program import command
from lukasa.launch.runs.storage import fetch


@dataclass(frozen=True)
class FetchOptions:
    """Fetch a run that was trained with --sync.

    Attributes:
        out: the run directory to make; by default runs/ and the last part of the URI.
    """

    out: str | None = None


def main(argv: Sequence[str]) -> int:
    """Fetch one run; returns the exit code."""
    words, rest = split_words(argv)
    options = parse(FetchOptions, rest, prog="lukasa fetch URI")
    if len(words) != 1:
        raise UserError("lukasa fetch takes one URI: give what was --sync when the run was trained")
    uri = words[0].rstrip("/")
    out = Path(options.out) if options.out else Path("runs") / uri.rpartition("/")[2]
    count = fetch(uri, out)
    print(f"run {out}, {count} checkpoints; see it with\n  {command('eval', out)}", file=sys.stderr)
    print(out)
    return 0
