"""The models that come with lukasa: trains them anew, writes their files with their cards, and a table of all.

    python -m lukasa.benchmarks.models [--runs FOLDER] [--only copy_ntm] [--table] [--out FILE.md]

A model whose runs are there is not trained again. Each is the best of its seeds by the score of training; the table has
the figure of every seed.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lukasa.ground.files import write_text
from lukasa.ground.mistakes import TrainingError, UserError
from lukasa.ground.names import unknown
from lukasa.launch.cli import main as lukasa
from lukasa.launch.kinds.figures import show_number
from lukasa.launch.options.fields import Switch
from lukasa.launch.options.parsing import parse
from lukasa.launch.runs.model_files import FOLDER, SUFFIX, own_cards

MODELS = {
    "babi_qrn": "questions babi_qrn --tasks 2",
    "copy_ntm": "task copy_ntm --steps 40000 --report-every 2000",
    "omniglot_prototypical": "few-shot omniglot_prototypical --steps 1000 --report-every 100",
    "repeat_previous_medium_ntm": "rl repeat_previous_medium_ntm",
    "reverse_nram": "circuits reverse_nram --starts 8 --steps 8000",
}
"""By the name of a model, the words after ``lukasa train`` that train it."""

SEEDS = "--seeds 3 --concurrent 1"


@dataclass(frozen=True)
class Options:
    """Train the models that come with lukasa, and write their files.

    Attributes:
        runs: folder of the runs.
        only: one model alone.
        table: write the table of the files that are there, and train and score nothing.
        out: page to write the table to.
    """

    runs: str = "runs/models"
    only: str | None = None
    table: Switch = False
    out: str = "build/models.md"


def main(argv: Sequence[str]) -> int:
    """Train, export, and write the table; returns the exit code.

    Raises:
        UserError: there is no such model.
        TrainingError: a command failed.
    """
    options = parse(Options, argv, prog="lukasa bench models")
    if options.only is not None and options.only not in MODELS:
        raise UserError(unknown("model", options.only, MODELS))
    names = [options.only] if options.only else list(MODELS)
    for name in [] if options.table else names:
        run, file = Path(options.runs) / name, FOLDER / f"{name}{SUFFIX}"
        if not run.exists():
            _do(f"train {MODELS[name]} {SEEDS} --out {shlex.quote(str(run))}")
        _do(f"export {shlex.quote(str(run))} --out {shlex.quote(str(file))} --evaluate --licence MIT")
    Path(options.out).parent.mkdir(parents=True, exist_ok=True)
    write_text(options.out, page())
    print(options.out)
    return 0


def _do(line: str) -> None:
    print(f"lukasa {line}", file=sys.stderr)
    if code := lukasa(shlex.split(line)):
        raise TrainingError(f"lukasa {line} ended with exit code {code}")


def page() -> str:
    """The table of all models that are there, out of their cards."""
    cards = own_cards()
    header = ["model", "figure of `lukasa eval`", "95 % confidence", "chance", "best", "wiped", "every seed"]
    lines = [
        "# Models to start from, November 2026",
        "",
        "    lukasa bench models --out FILE.md        # --table: of the files as they are",
        "",
    ]
    lines += [_about(list(cards.values())), "", _row(header), _row(["---", "---", *["--:"] * 5])]
    lines += [_row(_figure_cells(name, card)) for name, card in cards.items()]
    lines += ["", *_remarks(), ""]
    lines += [
        _row(["model", "trained by", "for", "seconds", "bytes", "SHA-256"]),
        _row(["---", "---", *["--:"] * 3, "---"]),
    ]
    lines += [_row(_training_cells(name, card)) for name, card in cards.items()]
    return "\n".join(lines) + "\n"


def _about(cards: Sequence[dict[str, Any]]) -> str:
    packages = cards[0].get("versions", {})
    versions = ", ".join(
        f"{name} {packages[name]}" for name in ("python", "torch", "ray", "gymnasium") if name in packages
    )
    commits = sorted({str(card.get("commit"))[:7] for card in cards})
    return (
        f"2 cores, no GPU, one thread a run, other programs on the other core (seconds are upper bounds); {versions}; "
        f"commit {', '.join(commits)}. Three seeds each; the file holds the best by the score of training."
    )


def _remarks() -> list[str]:
    return [
        "`lukasa eval NAME` gives the figure again, `lukasa list NAME` prints the card. Wiped: the same episodes or",
        "sequences with the memory wiped at every step, or questions without their story; a dash where neither can be.",
    ]


def _figure_cells(name: str, card: dict[str, Any]) -> list[str]:
    found = card["figure"]
    interval = " to ".join(map(show_number, found["interval"])) if found["interval"] else "-"
    wiped = ", ".join(f"{part} {show_number(one['value'])}" for part, one in found["ablation"].items()) or "-"
    known = [show_number(found[one]) for one in ("chance", "best")]
    measured = f"{found['measure']} **{show_number(found['value'])}**, {found['of']}"
    return [f"`{name}`", measured, interval, *known, wiped, ", ".join(map(show_number, card["spread"]))]


def _training_cells(name: str, card: dict[str, Any]) -> list[str]:
    done = f"{card['steps']:,} {card['counted']}"
    return [
        f"`{name}`",
        f"`{card['command']}`",
        done,
        f"{card['seconds']:,.0f}",
        f"{card['bytes']:,}",
        f"`{card['sha256'][:16]}…`",
    ]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
