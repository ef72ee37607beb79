"""The table and the picture of a campaign on POPGym."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from lukasa.ground.files import write_text
from lukasa.ground.mistakes import UserError
from lukasa.ground.statistics import bootstrap_interval
from lukasa.launch.campaigns.job import Job
from lukasa.launch.campaigns.popgym.agents import (
    AGENTS,
    LEVELS,
    PERFECT,
    PUBLISHED,
    PUBLISHED_MEANS,
    RANDOM,
    env_id,
    family_of,
    short_name,
)
from lukasa.launch.campaigns.records import Folder, Record

Row = dict[str, Any]
TABLE = Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class Cell:
    """One environment and agent of the table, with a job for each seed."""

    env: str
    agent: str
    jobs: tuple[Job, ...]


def rows_of(cells: Sequence[Cell], folder: Folder) -> list[Row]:
    """What came of every cell; returns are times 100, as published ones are.

    Keys: "env", "agent", "seeds" that were scored; "return", the mean of the final evaluation, and its "interval" over
    seeds; "mmer", the mean over seeds of the highest mean return of 100 episodes in training; "share", how far the
    return is from that of random actions to that of perfect memory, in percent; "steps" of the run that has fewest;
    "finished".
    """
    rows = []
    for cell in cells:
        known = [record for job in cell.jobs if (record := folder.record(job)) is not None and record.evaluation]
        rows.append({"env": cell.env, "agent": cell.agent} | _measured(cell, known))
    return rows


def _measured(cell: Cell, records: Sequence[Record]) -> Row:
    returns = [100 * record.evaluation["return_mean"] for record in records if record.evaluation]
    highest = [100 * record.best for record in records if record.best is not None]
    mean = fmean(returns) if returns else None
    low, high = of_env(RANDOM, cell.env), of_env(PERFECT, cell.env)
    share = None if mean is None or low is None or high is None else 100 * (mean - low) / (high - low)
    return {
        "seeds": len(returns),
        "return": mean,
        "interval": bootstrap_interval(returns),
        "mmer": fmean(highest) if highest else None,
        "share": share,
        "steps": min((record.steps for record in records), default=0),
        "finished": len(records) == len(cell.jobs) and all(record.is_over for record in records),
    }


def of_env(table: TABLE, env: str) -> float | None:
    """A figure of an environment out of a table by family and level; None where it has none.

    Example:
        >>> of_env({"Autoencode": (-50.5, -49.4, -50.9)}, "popgym-AutoencodeMedium-v0")
        -49.4
    """
    family, level = family_of(env)
    return table[family][level] if family in table else None


def table_lines(rows: Sequence[Row]) -> list[str]:
    """The table in Markdown: returns times 100 by environment and agent, beside published ones, and their means."""
    agents, envs = _columns(rows)
    twelve = sorted(envs) == sorted(env_id(family, level) for family in RANDOM for level in LEVELS)
    published = [name for name, found in PUBLISHED.items() if {short_name(env) for env in envs} & found.keys()]
    head = ["environment", "random", *agents, *(f"{name}, Le et al. 2025" for name in published), "perfect memory"]
    lines = [_line(head), _line(["---", *["---:"] * (len(head) - 1)])]
    for env in envs:
        own = {row["agent"]: row for row in rows if row["env"] == env}
        beside = [_number(PUBLISHED[name].get(short_name(env))) for name in published]
        ends = [_number(of_env(table, env)) for table in (RANDOM, PERFECT)]
        lines.append(_line([short_name(env), ends[0], *(_return(own[agent]) for agent in agents), *beside, ends[1]]))
    means = [_mean([row["return"] for row in rows if row["agent"] == agent]) for agent in agents]
    beside = [_number(PUBLISHED_MEANS.get(name) if twelve else None) for name in published]
    ends = [_mean([of_env(table, env) for env in envs]) for table in (RANDOM, PERFECT)]
    return [*lines, _line([f"mean of {len(envs)}", ends[0], *means, *beside, ends[1]])]


def write_table(out: Path, rows: Sequence[Row], *, steps: int, episodes: int) -> list[Path]:
    """Write the page and the picture; returns the files.

    Raises:
        UserError: one cannot be written.
    """
    page, picture = out.parent / f"{out.name}.md", out.parent / f"{out.name}.png"
    drawn = any(row["return"] is not None for row in rows)
    lines = ["# POPGym", "", _what_it_is(steps, episodes), "", *table_lines(rows), ""]
    lines += [f"![Returns by environment and agent]({picture.name})", ""] if drawn else []
    lines += ["## In training", "", *_training_lines(rows), "", "## Agents", "", *_agent_lines(rows)]
    try:
        write_text(page, "\n".join(lines) + "\n")
        if drawn:
            _draw(rows, picture)
    except OSError as error:
        raise UserError(f"{error.filename or page} cannot be written: {error.strerror}") from None
    return [page, *([picture] if drawn else [])]


def _training_lines(rows: Sequence[Row]) -> list[str]:
    """MMER, and how far every cell came."""
    head = ["environment", "agent", "return, 95 % over seeds", "MMER", "of random to perfect, %", "seeds", "steps"]
    lines = [_line(head), _line(["---", "---", *["---:"] * 5])]
    for row in rows:
        low, high = row["interval"] or (None, None)
        within = f" ({_number(low)} to {_number(high)})" if low is not None else ""
        so_far = "" if row["finished"] else ", to go on"
        cells = [row["agent"], _number(row["return"]) + within, _number(row["mmer"]), _number(row["share"])]
        lines.append(_line([short_name(row["env"]), *cells, str(row["seeds"]), f"{row['steps']:,}{so_far}"]))
    return lines


def _agent_lines(rows: Sequence[Row]) -> list[str]:
    agents, _ = _columns(rows)
    return [f"- `{agent}`: {AGENTS[agent].says if agent in AGENTS else f'core {agent} by default'}" for agent in agents]


def _what_it_is(steps: int, episodes: int) -> str:
    return (
        f"Returns times 100 of {episodes} episodes with the likeliest actions, after {steps:,} steps unless the second "
        "table says otherwise; the mean over seeds. A star marks those of which seeds or steps are missing. "
        "Every agent has one setting for all environments. MMER is POPGym's measure, the highest mean return in "
        "training, here of 100 episodes. Published returns are those after 15 million steps."
    )


def _columns(rows: Sequence[Row]) -> tuple[list[str], list[str]]:
    return list(dict.fromkeys(row["agent"] for row in rows)), list(dict.fromkeys(row["env"] for row in rows))


def _return(row: Row) -> str:
    return _number(row["return"]) + ("" if row["finished"] or row["return"] is None else "*")


def _mean(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"**{_number(fmean(known))}**" if known and len(known) == len(values) else ""


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _draw(rows: Sequence[Row], path: Path) -> None:
    """Bars: the return of every agent, between lines for random actions and, where it is known, perfect memory."""
    import matplotlib.pyplot as plt

    from lukasa.launch.pictures.figures import COLOURS, save_figure, tidy

    agents, envs = _columns(rows)
    figure, axes = plt.subplots(figsize=(max(6.0, 1.1 * len(envs) + 2), 4), layout="constrained")
    width = 0.8 / len(agents)
    for place, agent in enumerate(agents):
        own = [row for row in rows if row["agent"] == agent]
        heights = [row["return"] if row["return"] is not None else float("nan") for row in own]
        at = [column + (place - (len(agents) - 1) / 2) * width for column in range(len(envs))]
        axes.bar(at, heights, width, label=agent, color=COLOURS[place % len(COLOURS)])
    for column, env in enumerate(envs):
        for table, style in ((RANDOM, ":"), (PERFECT, "--")):
            if (height := of_env(table, env)) is not None:
                axes.hlines(height, column - 0.45, column + 0.45, color="0.3", linestyle=style, linewidth=1)
    axes.set_xticks(range(len(envs)), [short_name(env) for env in envs], rotation=30, ha="right")
    axes.set(ylabel="return × 100 (dotted: random, dashed: perfect memory)")
    axes.legend()
    tidy(axes)
    save_figure(figure, path)
