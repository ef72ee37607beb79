"""``lukasa plot``: learning curves of runs, and what the memory of one does."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from launch.errors import UserError
from launch.learning import plot_learning
from launch.options import parse, split_words
from launch.runs import open_run

KINDS = {"rl": "launch.plot_rl", "task": "launch.plot_task", "few-shot": "launch.plot_few_shot"}
"""The module of each kind: ``KIND``, ``PlotOptions``, ``subject`` and ``plot_details``."""


def main(argv: Sequence[str]) -> int:
    """Draw, and print where the pictures are; the options are those of the runs' kind."""
    words, rest = split_words(argv)
    if not words and {"-h", "--help"} & set(rest):
        for kind, module in KINDS.items():
            with suppress(SystemExit):
                options = importlib.import_module(module).PlotOptions
                parse(options, ["--help"], prog=f"lukasa plot RUN [RUN ...] (of lukasa train {kind})")
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
    run, experiment = runs[0]
    name = "comparison.png" if len(runs) > 1 else "learning.png"
    print(plot_learning(runs, module.subject, Path(options.out) if options.out else run.plots / name))
    if len(runs) == 1:
        for path in module.plot_details(run, experiment, options):
            print(path)
    return 0
