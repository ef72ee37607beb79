"""The pages of a campaign of claims: a summary, in Markdown and HTML, and a page with a picture for every claim.

::

    LADDER.md, LADDER.html      the summary; the HTML holds the claims' pictures as well
    LADDER/CLAIM.md, CLAIM.png  a claim that was run
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lukasa.ground.files import write_text
from lukasa.ground.mistakes import UserError
from lukasa.launch.campaigns.claims.claim import Claim
from lukasa.launch.campaigns.claims.verdicts import Found, Verdict, digits
from lukasa.launch.campaigns.records import Record, minutes_of

WORDS = ("reached", "missed", "begun", "not run")
TITLE = "The ladder: what papers claim, run again"


def write_pages(folder: Path, verdicts: Sequence[Verdict]) -> list[Path]:
    """Write all pages; returns the two summaries.

    Args:
        folder: of the campaign.
        verdicts: what came of every claim.

    Raises:
        UserError: a page cannot be written.
    """
    begun = [verdict for verdict in verdicts if verdict.records]
    pages = [folder.parent / f"{folder.name}.md", folder.parent / f"{folder.name}.html"]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for verdict in begun:
            has_picture = _draw(verdict, folder / f"{verdict.claim.name}.png")
            write_text(folder / f"{verdict.claim.name}.md", claim_page(verdict, has_picture=has_picture))
        ordered = sorted(verdicts, key=lambda verdict: WORDS.index(verdict.word))
        write_text(pages[0], summary(ordered, folder.name))
        write_text(pages[1], as_html(ordered, folder))
    except OSError as error:
        raise UserError(f"{error.filename or folder} cannot be written: {error.strerror}") from None
    return pages


def summary(verdicts: Sequence[Verdict], folder: str) -> str:
    """The summary in Markdown.

    Args:
        verdicts: what came of every claim.
        folder: name of the folder of the claims' pages.
    """
    rows = [
        [
            f"[{one.claim.name}]({folder}/{one.claim.name}.md)" if one.records else one.claim.name,
            one.claim.statement,
            one.claim.paper,
            f"**{one.word}**" if one.word == "reached" else one.word,
            "; ".join(_figure(found) for found in one.found) if one.records else "",
            _effort(one),
        ]
        for one in verdicts
    ]
    head = ["claim", "says", "paper", "verdict", "figures", "minutes of training"]
    lines = [f"# {TITLE}", "", f"**{_counts(verdicts)}**", "", _what_it_is(verdicts), "", _table(head, rows)]
    return "\n".join(lines) + "\n"


def claim_page(verdict: Verdict, *, has_picture: bool) -> str:
    """The page of one claim in Markdown."""
    claim = verdict.claim
    lines = [f"# {claim.name}", "", f"{claim.statement} ({claim.paper})", "", f"**{verdict.told}**", ""]
    lines += [claim.note, ""] if claim.note else []
    lines += [_table(*_figure_rows(verdict)), ""]
    lines += [f"![Learning curves]({claim.name}.png)", ""] if has_picture else []
    lines += ["## Runs", "", _table(*_run_rows(verdict)), "", "```", *_commands(claim), "```", "", _versions(verdict)]
    return "\n".join(lines) + "\n"


def as_html(verdicts: Sequence[Verdict], folder: Path) -> str:
    """The summary as one file, with every claim that was run: no other file and no network."""
    from jinja2 import Environment, PackageLoader

    environment = Environment(
        loader=PackageLoader("lukasa.launch.campaigns.claims", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    shown = [_for_template(verdict, folder) for verdict in verdicts]
    template = environment.get_template("ladder.html.jinja")
    return template.render(title=TITLE, counts=_counts(verdicts), about=_what_it_is(verdicts), claims=shown)


def _for_template(verdict: Verdict, folder: Path) -> dict[str, Any]:
    picture = folder / f"{verdict.claim.name}.png"
    head, rows = _figure_rows(verdict)
    run_head, run_rows = _run_rows(verdict)
    return {
        "claim": verdict.claim,
        "verdict": verdict,
        "figures": [_figure(found) for found in verdict.found] if verdict.records else [],
        "effort": _effort(verdict),
        "head": head,
        "rows": rows,
        "run_head": run_head,
        "run_rows": run_rows,
        "commands": _commands(verdict.claim),
        "versions": _versions(verdict),
        "picture": base64.b64encode(picture.read_bytes()).decode() if verdict.records and picture.exists() else "",
    }


def _figure_rows(verdict: Verdict) -> tuple[list[str], list[list[str]]]:
    """The table of a claim's figures: its head and its rows."""
    rows = []
    for found in verdict.found:
        low, high = found.interval or (None, None)
        rows.append(
            [
                found.bound.says,
                _wanted(found),
                digits(found.mean),
                f"{digits(low)} to {digits(high)}" if low is not None else "-",
                ", ".join(f"{seed}: {digits(value)}" for seed, value in found.values.items()) or "-",
                found.bound.paper or "-",
                _met(found),
            ]
        )
    return ["figure", "wanted", "mean", "95 % over seeds", "by seed", "paper", "met"], rows


def _run_rows(verdict: Verdict) -> tuple[list[str], list[list[str]]]:
    """The table of a claim's runs: its head and its rows."""
    rows = [
        [
            record.name.removeprefix(f"{verdict.claim.name}."),
            f"{record.steps:,} of {record.of:,} {record.counted}",
            record.failure or ("done" if record.is_over else "trained" if record.finished else "to go on"),
            f"{record.seconds / 60:.1f}",
        ]
        for record in verdict.records
    ]
    return ["model and seed", "trained", "state", "minutes"], rows


def _commands(claim: Claim) -> list[str]:
    """What ``lukasa reproduce`` runs, as one would type it."""
    lines = []
    for model in claim.models:
        start = f" --start-from runs/{model.start_from}" if model.start_from else ""
        lines.append(f"lukasa train {model.train} --seed SEED{start} --out runs/{model.name}")
        lines.append(f"lukasa eval runs/{model.name} {model.evaluate}".strip())
    return [*lines, f"lukasa reproduce {claim.name}"]


def _figure(found: Found) -> str:
    if not found.values:
        return f"{found.bound.says}: none yet"
    return f"{found.bound.says}: {digits(found.mean)} (wanted: {_wanted(found)})"


def _wanted(found: Found) -> str:
    bound = found.bound
    ends = [f"at least {digits(bound.at_least)}"] if bound.at_least is not None else []
    ends += [f"at most {digits(bound.at_most)}"] if bound.at_most is not None else []
    return " and ".join(ends) + (" each" if bound.every_seed else "")


def _met(found: Found) -> str:
    if not found.values:
        return "-"
    return ("yes" if found.is_met else "no") + (", before the end" if found.early else "")


def _effort(verdict: Verdict) -> str:
    took = f"{minutes_of(verdict.records):.0f}" if verdict.records else "0"
    return f"{took} of {verdict.claim.minutes:.0f}"


def _counts(verdicts: Sequence[Verdict]) -> str:
    counts = Counter(verdict.word for verdict in verdicts)
    return ", ".join(f"{counts[word]} {word}" for word in WORDS) + f", of {len(verdicts)} claims"


def _what_it_is(verdicts: Sequence[Verdict]) -> str:
    minutes = sum(minutes_of(verdict.records) for verdict in verdicts)
    return (
        "Each claim was trained, scored and judged by lukasa reproduce, from the files of its runs. A claim is reached "
        "when all its models are trained to the end with every seed and each figure is what it has to be; it is begun "
        f"while runs are missing. {minutes / 60:.1f} hours of training in all; the last column has the minutes that a "
        "claim took, of those that it needs on one core, more or less."
    )


def _versions(verdict: Verdict) -> str:
    """With what the runs were made."""
    found = dict.fromkeys(_made_with(record.written_by) for record in verdict.records if record.written_by)
    return "\n".join(found)


def _made_with(written_by: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in written_by.get("versions", {}).items())
    commit = written_by.get("commit")
    return f"{versions}{f', commit {commit[:7]}' if commit else ''}."


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _draw(verdict: Verdict, path: Path) -> bool:
    """Draw the learning curves of a claim's runs, a panel for each unit; False where there are none."""
    drawn = [record for record in verdict.records if len(record.curve) > 1]
    if not drawn:
        return False
    import matplotlib.pyplot as plt

    from lukasa.launch.pictures.figures import COLOURS, counted, save_figure, tidy

    panels = list(dict.fromkeys((record.unit, record.counted) for record in drawn))
    models = [model.name for model in verdict.claim.models]
    figure, grid = plt.subplots(1, len(panels), figsize=(6.4 * len(panels), 3.6), squeeze=False, layout="constrained")
    for axes, (unit, steps) in zip(grid[0], panels, strict=True):
        for record in drawn:
            if (record.unit, record.counted) == (unit, steps):
                model = _model_of(record, verdict.claim)
                label = model if f"{model}" not in [line.get_label() for line in axes.lines] else None
                colour = COLOURS[models.index(model) % len(COLOURS)]
                axes.plot(*zip(*record.curve, strict=True), color=colour, label=label, linestyle="-", linewidth=1.4)
        axes.set(xlabel=steps, ylabel=f"{unit}, training")
        axes.xaxis.set_major_formatter(counted)
        axes.legend()
        tidy(axes)
    save_figure(figure, path)
    return True


def _model_of(record: Record, claim: Claim) -> str:
    return record.name.removeprefix(f"{claim.name}.").rpartition(".")[0]
