"""What a newcomer is asked who types ``lukasa train KIND`` and nothing else."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from lukasa.ground.mistakes import UserError
from lukasa.ground.names import nearest
from lukasa.launch.kinds.kind import Experiments
from lukasa.launch.options.described import rows
from lukasa.launch.options.program import command


def words_or_questions(experiments: Experiments[Any], argv: Sequence[str]) -> list[str]:
    """The words of a command line; where there are none, those that the user answers with.

    Raises:
        UserError: there are none, and no terminal to ask at.
    """
    if argv:
        return list(argv)
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()):
        recipe, options = (experiments.examples[place][0].partition(" ")[2] for place in (0, 2))
        raise UserError(
            f"lukasa train {experiments.name} needs to know what to train: give a recipe, as in "
            f"{command(*recipe.split())}, or options, as in {command(*options.split())}; see {command('list')}"
        )
    words: list[str] = []
    for option, what, listed, default in experiments.questions:
        words += [f"--{option}", _ask(what, listed, default)]
    print(f"this is the same as\n  {command('train', experiments.name, *words)}", file=sys.stderr)
    return words


def _ask(what: str, listed: str, default: str) -> str:
    """One answer that names something there is; environments of others may have any name."""
    known = list(rows(listed))
    while True:
        print(f"which {what}? [{default}] (? lists them) ", end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line:
            raise UserError(f"no {what} was chosen")
        answer = line.strip() or default
        if answer == "?":
            print(f"  {', '.join(known)}", file=sys.stderr)
        elif answer in known or listed == "envs":
            return answer  # Gymnasium knows more environments; a wrong name is refused with the nearest one later
        else:
            print(f"  there is no {what} {answer!r}: {nearest(answer, known)}", file=sys.stderr)
