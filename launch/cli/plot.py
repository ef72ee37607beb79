"""``lukasa plot``: learning curves of runs, and what the memory of one does."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lukasa.ground.mistakes import UserError
from lukasa.launch.comparing.curves import read_learning
from lukasa.launch.comparing.several_seeds import Compared, open_compared
from lukasa.launch.kinds.described import options_of_command
from lukasa.launch.kinds.subjects import Subject
from lukasa.launch.kinds.table import KINDS, kind_of
from lukasa.launch.options.fields import split_words
from lukasa.launch.options.parsing import parse
from lukasa.launch.pictures.formats import picture_format, picture_path
from lukasa.launch.runs.directory import Run

SUMMARY = "draw the learning curve of a run and what its memory does; of several runs, their curves on one picture"

EXAMPLES = (
    ("lukasa plot RUN", "pictures in RUN/plots"),
    ("lukasa plot RUN OTHER --out curves.png", "the learning curves of two runs"),
)


def main(argv: Sequence[str]) -> int:
    """Draw, and print where the pictures are; the options are those of the runs' kind."""
    words, rest = split_words(argv)
    if not words and {"-h", "--help"} & set(rest):
        from lukasa.launch.options.help import Page

        page = Page("lukasa plot RUN [RUN ...]", SUMMARY, EXAMPLES)
        page.show_each({f"A run of lukasa train {kind}": options_of_command("plot", kind) for kind in KINDS})
        return 0
    if not words:
        raise UserError("lukasa plot needs at least one run directory: lukasa plot RUN")
    compared = open_compared(words, kind_of, "draw")
    kind = compared[0].kind
    pictures = kind.pictures()
    options = parse(pictures.options, rest, prog="lukasa plot RUN [RUN ...]")
    options = dataclasses.replace(options, format=picture_format(options.out, options.format))
    own = picture_path(compared[0].plots, "comparison" if len(compared) > 1 else "learning", options.format)
    picture, details = Path(options.out) if options.out else own, []
    model = compared[0].path.is_file()  # which has no metrics to draw a curve of
    if model and options.out:
        raise UserError(f"--out is for learning curves, and {compared[0].path} is a model without one: leave it out")
    curves, subject = ([], None) if model else read_learning(compared, kind.subject, picture)
    if len(compared) == 1:
        # Before the curve, so that a checkpoint that cannot be used is refused before anything is drawn.
        run, experiment = _run_of_details(compared[0], kind.subject(compared[0].experiment))
        details = list(pictures.draw(run, experiment, options))
        if not details:
            print(f"run {run.path} has no checkpoint yet: only its learning curve was drawn", file=sys.stderr)
    if subject is not None:
        from lukasa.launch.pictures.learning import draw_learning  # loads matplotlib

        draw_learning(curves, picture, subject)
        details.insert(0, picture)
    for path in details:
        print(path)
    return 0


def _run_of_details(compared: Compared, subject: Subject) -> tuple[Run, Any]:
    """The run whose episode or sequence is drawn: of several seeds the best, which is said."""
    from lukasa.launch.comparing.scores import best_seed

    place = best_seed(compared, subject)
    run, experiment = compared.runs[place]
    if len(compared.runs) > 1:
        print(
            f"the other pictures are of seed {experiment.seed}, the best of {len(compared.runs)}",
            file=sys.stderr,
        )
    return run, experiment
