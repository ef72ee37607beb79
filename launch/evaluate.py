"""``lukasa eval``: how good a trained agent or core is."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path

from launch.described import options_of_command
from launch.errors import UserError
from launch.options import peek, split_words
from launch.runs import open_run
from launch.several_seeds import is_several, open_several

KINDS = {"rl": "launch.evaluate_rl", "task": "launch.evaluate_task", "few-shot": "launch.evaluate_few_shot"}
"""The module that evaluates the runs of each kind: ``main(run, config, argv)`` with the options ``EvalOptions``."""

SUMMARY = (
    "score a trained agent, core or learner on fresh episodes or sequences; which options there are depends on the run"
)

EXAMPLES = (
    ("lukasa eval RUN", "the best checkpoint of the run in the folder RUN"),
    ("lukasa eval RUN --checkpoint last --json", "the last one, as one JSON object"),
)


def main(argv: Sequence[str]) -> int:
    """Evaluate the run that the command line names; the options are those of its kind."""
    words, rest = split_words(argv)
    if not words and {"-h", "--help"} & set(rest):
        from launch.help import Page

        page = Page("lukasa eval RUN", SUMMARY, EXAMPLES)
        page.show_each({f"A run of lukasa train {kind}": options_of_command("eval", kind) for kind in KINDS})
        return 0
    if len(words) != 1:
        raise UserError("lukasa eval takes one run directory: lukasa eval RUN")
    path = Path(words[0])
    several = open_several(path) if is_several(path) else None
    run, config = several.runs()[0] if several else open_run(path)
    if config["kind"] != "few-shot" and peek(rest, "--one-shot-runs") is not None:
        raise UserError(
            f"--one-shot-runs scores learners of support and queries, and run {run.path} is of `lukasa train "
            f"{config['kind']}`: train one, such as lukasa train few-shot omniglot_prototypical"
        )
    module = importlib.import_module(KINDS[config["kind"]])
    if several:
        from launch.evaluate_seeds import evaluate_seeds

        return evaluate_seeds(several, module, rest)
    return module.main(run, config, rest)
