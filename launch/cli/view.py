"""``lukasa view``: a page to step through an episode or a sequence of a run, or of an agent out of its file."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lukasa.ground.mistakes import UserError
from lukasa.launch.cli.by_kind import best_run, refuse_other_kinds_options, show_help
from lukasa.launch.comparing.several_seeds import open_compared
from lukasa.launch.kinds.table import kind_of
from lukasa.launch.options.fields import split_words
from lukasa.launch.options.parsing import parse
from lukasa.launch.runs.directory import plots_of
from lukasa.launch.runs.model_files import AGENT, located, read_header

SUMMARY = "write a page to step through an episode or a sequence: what was seen, done, written and read at each step"

EXAMPLES = (
    ("lukasa view RUN", "RUN/plots/view.html, a file that any browser opens"),
    ("lukasa view RUN --seed 7 --out view.html", "another episode or sequence"),
    ("lukasa view agent.lukasa", "an agent that lukasa export wrote"),
    ("lukasa view copy_ntm", "a model that comes with this program"),
)


def main(argv: Sequence[str]) -> int:
    """Write the page, and print where it is; the options are those of the run's kind."""
    words, rest = split_words(argv)
    if not words and {"-h", "--help"} & set(rest):
        return show_help("view", "lukasa view RUN", SUMMARY, EXAMPLES)
    if len(words) != 1:
        raise UserError("lukasa view takes one run directory, or the file of an agent: lukasa view RUN")
    path = located(Path(words[0]))
    made, out = _of_file(path, rest) if path.is_file() and read_header(path)[0] == AGENT else _of_run(path, rest)
    from lukasa.launch.views.page import write_page

    print(write_page(made, out))
    for note in made.notes:
        print(note, file=sys.stderr)
    return 0


def _of_run(path: Path, rest: Sequence[str]) -> tuple[Any, Path]:
    """The view of a run, and where its page goes; of several seeds the best one's, which is said."""
    (compared,) = open_compared([str(path)], kind_of, "view")
    kind = compared.kind
    if kind.views is None:
        raise UserError(f"run {path} is of kind {kind.name!r}, which shows nothing over time: lukasa plot draws it")
    refuse_other_kinds_options("view", kind.name, path, rest)
    way = kind.views()
    options: Any = parse(way.options, rest, prog="lukasa view RUN")
    _check_page(options.out)
    run, experiment = best_run(compared, "the page is")
    return way.view(run, experiment, options), Path(options.out) if options.out else run.plots / "view.html"


def _of_file(path: Path, rest: Sequence[str]) -> tuple[Any, Path]:
    from lukasa.launch.kinds.rl.file_views import FileViewOptions, view_file

    options = parse(FileViewOptions, rest, prog="lukasa view FILE")
    _check_page(options.out)
    return view_file(path, options), Path(options.out) if options.out else plots_of(path) / "view.html"


def _check_page(out: str | None) -> None:
    from lukasa.launch.views.page import check_page

    check_page(out)
