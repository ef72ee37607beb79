"""``lukasa plot``: learning curves of runs, and what the memory of one does."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

from lukasa.ground.mistakes import UserError
from lukasa.launch.cli.by_kind import best_run, show_help
from lukasa.launch.comparing.curves import read_learning
from lukasa.launch.comparing.several_seeds import open_compared
from lukasa.launch.kinds.table import kind_of
from lukasa.launch.options.fields import split_words
from lukasa.launch.options.parsing import parse
from lukasa.launch.pictures.formats import picture_format, picture_path

SUMMARY = "draw the learning curve of a run and what its memory does; of several runs, their curves on one picture"

EXAMPLES = (
    ("lukasa plot RUN", "pictures in RUN/plots"),
    ("lukasa plot RUN OTHER --out curves.png", "the learning curves of two runs"),
)


def main(argv: Sequence[str]) -> int:
    """Draw, and print where the pictures are; the options are those of the runs' kind."""
    words, rest = split_words(argv)
    if not words and {"-h", "--help"} & set(rest):
        return show_help("plot", "lukasa plot RUN [RUN ...]", SUMMARY, EXAMPLES)
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
        run, experiment = best_run(compared[0], "the other pictures are")
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
