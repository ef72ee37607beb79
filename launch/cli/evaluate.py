"""``lukasa eval``: how good a trained agent or core is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from lukasa.ground.mistakes import UserError
from lukasa.launch.cli.by_kind import refuse_other_kinds_options, show_help
from lukasa.launch.comparing.several_seeds import is_several, open_several
from lukasa.launch.kinds.table import kind_of
from lukasa.launch.options.fields import split_words
from lukasa.launch.options.parsing import parse
from lukasa.launch.runs.directory import open_run
from lukasa.launch.runs.saved_values import without_nan

SUMMARY = (
    "score a trained agent, core or learner on fresh episodes or sequences; which options there are depends on the run"
)

EXAMPLES = (
    ("lukasa eval RUN", "the best checkpoint of the run in the folder RUN"),
    ("lukasa eval RUN --checkpoint last --json", "the last one, as one JSON object"),
    ("lukasa eval copy_ntm", "a model that comes with lukasa; lukasa list models names them all"),
)


def main(argv: Sequence[str]) -> int:
    """Evaluate the run that the command line names; the options are those of its kind."""
    words, rest = split_words(argv)
    if not words and {"-h", "--help"} & set(rest):
        return show_help("eval", "lukasa eval RUN", SUMMARY, EXAMPLES)
    if len(words) != 1:
        raise UserError("lukasa eval takes one run directory, or a model: lukasa eval RUN")
    path = Path(words[0])
    several = open_several(path) if is_several(path) else None
    run, config = several.runs()[0] if several else open_run(path)
    kind = kind_of(config["kind"])
    refuse_other_kinds_options("eval", kind.name, run.path, rest)
    way = kind.evaluation()
    options = parse(way.options, rest, prog="lukasa eval RUN")
    if several:
        from lukasa.launch.comparing.evaluation import evaluate_seeds

        return evaluate_seeds(several, kind, options)
    result = way.evaluate(run, kind.experiments.from_json(config["experiment"]), options)
    if options.json:
        print(json.dumps(without_nan(result)))
    else:
        way.describe(result)
    return 0
