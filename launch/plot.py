"""``lukasa plot``: learning curves of runs, and what the memory of one does."""

from __future__ import annotations

import dataclasses
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from launch.described import options_of_command
from launch.errors import UserError
from launch.formats import picture_format, picture_path
from launch.learning import plot_learning
from launch.options import parse, split_words
from launch.runs import open_run

KINDS = {"rl": "launch.plot_rl", "task": "launch.plot_task", "few-shot": "launch.plot_few_shot"}
"""The module of each kind: ``KIND``, ``PlotOptions``, ``subject`` and ``plot_details``."""

SUMMARY = "draw the learning curve of a run and what its memory does; of several runs, their curves on one picture"

EXAMPLES = (
    ("lukasa plot RUN", "pictures in RUN/plots"),
    ("lukasa plot RUN OTHER --out curves.png", "the learning curves of two runs"),
)


def main(argv: Sequence[str]) -> int:
    """Draw, and print where the pictures are; the options are those of the runs' kind."""
    words, rest = split_words(argv)
    if not words and {"-h", "--help"} & set(rest):
        from launch.help import Page

        page = Page("lukasa plot RUN [RUN ...]", SUMMARY, EXAMPLES)
        page.show_each({f"A run of lukasa train {kind}": options_of_command("plot", kind) for kind in KINDS})
        return 0
    if not words:
        raise UserError("lukasa plot needs at least one run directory: lukasa plot RUN")
    opened = [open_run(Path(word)) for word in words]
    kinds = list(dict.fromkeys(config["kind"] for _, config in opened))
    if len(kinds) > 1:
        raise UserError(f"these runs are of {len(kinds)} kinds ({', '.join(kinds)}): draw those of one at a time")
    module = importlib.import_module(KINDS[kinds[0]])
    options = parse(module.PlotOptions, rest, prog="lukasa plot RUN [RUN ...]")
    runs = [(run, module.KIND.from_json(config["experiment"])) for run, config in opened]
    options = dataclasses.replace(options, format=picture_format(options.out, options.format))
    run, experiment = runs[0]
    own = picture_path(run.plots, "comparison" if len(runs) > 1 else "learning", options.format)
    print(plot_learning(runs, module.subject, Path(options.out) if options.out else own))
    if len(runs) == 1:
        details = list(map(print, module.plot_details(run, experiment, options)))
        if not details:
            print(f"run {run.path} has no checkpoint yet: only its learning curve was drawn", file=sys.stderr)
    return 0
