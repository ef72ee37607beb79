"""What the commands share whose options depend on the kind of a run."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lukasa.ground.mistakes import UserError
from lukasa.launch.comparing.several_seeds import Compared
from lukasa.launch.kinds.described import options_of_command
from lukasa.launch.kinds.table import KINDS
from lukasa.launch.runs.directory import Run


def show_help(command: str, usage: str, summary: str, examples: Sequence[tuple[str, str]]) -> int:
    """Print the help of a command with the options of every kind; returns the exit code.

    Args:
        command: eval, plot or view.
        usage: the command and its words.
        summary: what it does, in one sentence.
        examples: command lines that work, with what each does.
    """
    from lukasa.launch.options.help import Page

    page = Page(usage, summary, examples)
    page.show_each({f"A run of lukasa train {kind}": options_of_command(command, kind) for kind in KINDS})
    return 0


def refuse_other_kinds_options(command: str, kind: str, path: Path, argv: Sequence[str]) -> None:
    """Refuse an option that only runs of another kind have, and say which.

    Raises:
        UserError: there is one.
    """
    if kind not in KINDS:
        return
    named = {name: {one.name for one in options_of_command(command, name)} for name in KINDS}
    for word in argv:
        option = word.partition("=")[0].replace("_", "-")
        others = [name for name, options in named.items() if option in options]
        if others and kind not in others:
            raise UserError(
                f"unknown option {option!r}: it is for runs of lukasa train {' or '.join(others)}, and run {path} is "
                f"of lukasa train {kind}"
            )


def best_run(compared: Compared, shown: str) -> tuple[Run, Any]:
    """The run of the seed with the best last score, and its experiment; of several seeds it is said which.

    Args:
        compared: a run, or an experiment of several seeds.
        shown: what is shown of that run alone, such as "the page is".
    """
    from lukasa.launch.comparing.scores import best_seed

    run, experiment = compared.runs[best_seed(compared)]
    if len(compared.runs) > 1:
        print(f"{shown} of seed {experiment.seed}, the best of {len(compared.runs)}", file=sys.stderr)
    return run, experiment
