"""``lukasa list``: what there is, as an overview of one screen, or one list in full."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from lukasa.ground.mistakes import UserError
from lukasa.ground.names import nearest
from lukasa.launch.kinds.described import recipes as described_recipes
from lukasa.launch.kinds.figures import show_figure
from lukasa.launch.options.described import rows as described_rows
from lukasa.launch.options.describing import Row
from lukasa.launch.options.fields import Switch, split_words
from lukasa.launch.options.parsing import parse
from lukasa.launch.runs import model_files

Rows = list[dict[str, Any]]

WIDEST = 110
"""Columns of a list on a terminal that has more."""


@dataclass(frozen=True)
class ListOptions:
    """List cores, tasks, environments, recipes, learners and so on; an overview where no list is named.

    Attributes:
        json: print one JSON object, of all lists where none is named.
    """

    json: Switch = False


def main(argv: Sequence[str]) -> int:
    """Print the overview, or one list."""
    words, rest = split_words(argv)
    if words[:1] == ["runs"]:
        from lukasa.launch.comparing.run_listing import main as list_runs

        return list_runs([*words[1:], *rest])
    options = parse(ListOptions, rest, prog=f"lukasa list [{'|'.join(LISTS)}]")
    if len(words) > 1:
        raise UserError(f"lukasa list takes one name, got {' '.join(words)!r}: choose one of {', '.join(LISTS)}")
    if words and words[0] not in LISTS and (path := model_files.located(Path(words[0]))).is_file():
        card = model_files.read_card(path)
        print(json.dumps(card, indent=1) if options.json else "\n".join(_card_lines(words[0], card)))
        return 0
    if words and words[0] not in LISTS:
        raise UserError(f"there is no list of {words[0]!r}: {nearest(words[0], [*LISTS, *model_files.names()])}")
    if options.json:
        print(json.dumps({name: rows() for name, rows in LISTS.items() if not words or name == words[0]}, indent=1))
    elif words:
        print("\n".join(_list_lines(LISTS[words[0]]())))
    else:
        print("\n".join(overview()))
    return 0


def overview() -> list[str]:
    """How many there are of everything, some names of each, and the words that list each in full."""
    found = {name: rows() for name, rows in LISTS.items()}
    parts = [
        ("cores", "cores", "memories and baselines"),
        ("environments", "envs", "and all those of Gymnasium"),
        ("tasks", "tasks", "supervised, on sequences"),
        ("learners", "learners", ""),
        ("algorithms", "algorithms", "of reinforcement learning"),
        ("data sets", "datasets", ""),
        ("indexes", "indexes", "of sparse memories"),
        ("readers", "readers", "of stored stories"),
        ("question sets", "questions", "about stories"),
        ("methods", "methods", ""),
        ("streams", "streams", ""),
        ("models that point", "pointers", "at points of a set"),
        ("pointing tasks", "pointing", "hulls, triangles, tours"),
        ("tasks of programs", "programs", "learned from traces"),
        ("models", "models", ""),
        ("recipes", "recipes", "lukasa train KIND RECIPE"),
        ("claims of papers", "claims", ""),
    ]
    width = min(WIDEST, shutil.get_terminal_size().columns)
    lines = []
    for title, word, about in parts:
        rows = found[word]
        names = _kinds_of(rows) if word == "recipes" else [row.get("name") or row["id"] for row in rows]
        beside, words = f"{len(rows)} {title}", f"lukasa list {word}"
        few = ", ".join(names) if about else _some(names, width - 44).strip()  # nothing to say leaves room for some
        fits = len(beside) <= 24 and 48 + len(few) <= width
        lines.append(f"{_bold(f'{beside:<24}')}{words:<24}{few if fits else about}")
        lines += [] if fits else [_some(names, width - 4)]
    return [*lines, "lukasa train rl --help lists the options of a kind of training."]


def _kinds_of(recipes: Rows) -> list[str]:
    """The kinds of training that recipes are of."""
    return list(dict.fromkeys(row["command"].split()[2] for row in recipes))


def _some(names: Sequence[str], width: int) -> str:
    """As many names as a line has room for, the first of each family before the others."""
    families: dict[str, list[str]] = {}
    for name in names:
        families.setdefault(name.partition("-")[0].partition("_")[0], []).append(name)
    names = [*(some[0] for some in families.values()), *(name for some in families.values() for name in some[1:])]
    shown = f"    {', '.join(names)}"
    if len(shown) <= width:
        return shown
    shown = "    "
    for place, name in enumerate(names):
        more = f"{name}" if place == 0 else f", {name}"
        rest = len(names) - place - 1
        if len(shown) + len(more) + (len(", and 999 more") if rest else 0) > width:
            return f"{shown}, and {rest + 1} more"
        shown += more
    return shown


def environments() -> Rows:
    """Every environment this project knows: id, what is to be remembered, scores, the extra that brings it."""
    return [{"id": name, **row} for name, row in described_rows("envs").items()]


def supervised_tasks() -> Rows:
    """Every supervised task: name, what is to be remembered, scores, the paper and the data it reads."""
    rows = described_rows("tasks").items()
    return [{"name": name, **{key: row[key] for key in row if key != "options"}} for name, row in rows]


def recipes() -> Rows:
    """Every recipe: what it trains, for how many steps."""
    return [{"name": name, **row} for name, row in described_recipes().items()]


def claims() -> Rows:
    """Every claim of a paper: what it says, whose it is, how long it takes."""
    from lukasa.launch.campaigns.claims.table import CLAIMS

    return [
        {
            "name": claim.name,
            "summary": claim.statement,
            "paper": claim.paper,
            "figures": "; ".join(bound.says for bound in claim.bounds),
            "seeds": len(claim.seeds),
            "minutes": claim.minutes,
            "quick form": f"{claim.quick.minutes:g} minutes" if claim.quick else "",
            "needs": "$LUKASA_DATA" if claim.needs_data else "",
        }
        for claim in CLAIMS.values()
    ]


def models() -> Rows:
    """Every model that comes with lukasa: its name, what it is and how good, as its card says."""
    return [{"name": name, "summary": _figure_of(card), "card": card} for name, card in model_files.own_cards().items()]


def _figure_of(card: Mapping[str, Any]) -> str:
    about = card.get("about", "no card")
    return f"{about}: {show_figure(card['figure'])}" if "figure" in card else about


def _card_lines(name: str, card: Mapping[str, Any]) -> list[str]:
    """A card for people."""
    seeds, spread = card.get("seeds", []), card.get("spread", [])
    each = ", ".join(f"seed {seed}: {_number(one)}" for seed, one in zip(seeds, spread, strict=False))
    told = {
        "what": card.get("about"),
        "figure": show_figure(card["figure"]) if "figure" in card else "not measured: lukasa export RUN --evaluate",
        "seeds": each if len(spread) > 1 else "",
        "trained by": card.get("command"),
        "for": f"{_number(card.get('steps'))} {card.get('counted')}, {_number(card.get('seconds'))} s",
        "from seed": card.get("seed"),
        "versions": ", ".join(f"{package} {version}" for package, version in card.get("versions", {}).items()),
        "licence": card.get("licence") or "none is given",
        "bytes": card["bytes"],
        "SHA-256": card["sha256"],
    }
    shown = [(key, value if isinstance(value, str) else _number(value)) for key, value in told.items()]
    return [_bold(name), *(f"  {key:<12}{value}" for key, value in shown if value not in ("", "None"))]


def _named(registry: str) -> Rows:
    """Everything in a registry: its name, what it is, its options."""
    return [{"name": name, **row} for name, row in described_rows(registry).items()]


LISTS: dict[str, Callable[[], Rows]] = {
    "cores": partial(_named, "cores"),
    "tasks": supervised_tasks,
    "envs": environments,
    "recipes": recipes,
    "indexes": partial(_named, "indexes"),
    "learners": partial(_named, "learners"),
    "algorithms": partial(_named, "algorithms"),
    "datasets": partial(_named, "datasets"),
    "readers": partial(_named, "readers"),
    "questions": partial(_named, "questions"),
    "methods": partial(_named, "methods"),
    "streams": partial(_named, "streams"),
    "pointers": partial(_named, "pointers"),
    "pointing": partial(_named, "pointing"),
    "programs": partial(_named, "programs"),
    "claims": claims,
    "models": models,
}
"""What ``lukasa list`` takes, and what gives its rows."""


def _list_lines(rows: Rows) -> list[str]:
    """One paragraph a thing: its name and what it is, and below it the details."""
    width = min(WIDEST, shutil.get_terminal_size().columns)
    margin = min(34, 2 + max(len(row.get("name") or row["id"]) for row in rows))
    indent, lines = " " * margin, []
    for row in rows:
        name = row.get("name") or row["id"]
        summary = textwrap.wrap(row["summary"], max(30, width - margin)) or [""]
        beside = len(name) < margin
        lines.append(_bold(f"{name:<{margin}}") + (summary[0] if beside else ""))
        lines += [indent + line for line in summary[beside:]]
        lines += [indent + line for line in textwrap.wrap(_details(row), max(30, width - margin))]
    return lines


def _details(row: Mapping[str, Any]) -> str:
    if "card" in row:
        return f"{row['card']['bytes']:,} bytes, licence {row['card']['licence']}, {row['card']['command']}"
    if "command" in row:
        told = {name: value for name, value in row.items() if name not in ("name", "summary", "command")}
        return f"{row['command']}  ({_listed(told)})"
    if "options" in row:
        return ", ".join(f"{option['name']} {_shown(option)}".strip() for option in row["options"])
    return _listed({name: row[name] for name in row if name not in ("id", "name", "summary", "splits", "options")})


def _listed(values: Row) -> str:
    return ", ".join(f"{name} {_number(value)}" for name, value in values.items() if value not in ("", None))


def _shown(option: Row) -> str:
    default = option["default"]
    return "" if default in (None, "") else str(default).lower() if isinstance(default, bool) else _number(default)


def _number(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _bold(text: str) -> str:
    return f"\033[1m{text}\033[0m" if text and sys.stdout.isatty() else text
