"""``lukasa popgym``: environments of POPGym by agents and seeds, one campaign and a table beside published figures."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lukasa.ground.mistakes import UserError
from lukasa.ground.names import nearest
from lukasa.ground.registry import is_own
from lukasa.launch.campaigns.job import Job
from lukasa.launch.campaigns.popgym.agents import AGENTS, COMMON, FAMILIES, LEVELS, RANDOM, env_id, short_name
from lukasa.launch.campaigns.popgym.table import Cell, rows_of, table_lines, write_table
from lukasa.launch.campaigns.records import Folder
from lukasa.launch.options.bounds import check_least
from lukasa.launch.options.described import described, rows
from lukasa.launch.options.fields import Switch, split_words
from lukasa.launch.options.help import Page
from lukasa.launch.options.parsing import parse

EXAMPLES = (
    ("lukasa popgym RepeatPrevious --agents gru ntm_tape --steps 1e6", "three levels, two agents, three seeds each"),
    ("lukasa popgym AutoencodeEasy --agents ntm --seeds 1 --budget 30", "half an hour; the same command goes on"),
    ("lukasa popgym --report", "the table anew, from what was run"),
)


@dataclass(frozen=True)
class PopgymOptions:
    """Train agents on POPGym's environments, and write one table of returns beside published ones.

    Attributes:
        agents: settings of this suite (gru, lstm, lmu, shm, ffm, gtrxl, dnc, sam, ntm_tape, workbench_time), or any
            core by name, or your own as package.module:Class, with its defaults.
        steps: environment steps of every run.
        seeds: train this number of seeds of every cell.
        episodes: play this number of episodes to score a run, with the likeliest actions.
        budget: minutes of training; what is not finished then is saved, scored as it is, and goes on the next time.
        concurrent: runs at a time; as many as there are CPUs by default.
        address: HOST:PORT of a Ray cluster that trains; a Ray on this machine for each run by default.
        out: folder of records and runs; the table is written beside it.
        report: train nothing, and write the table from what was run.
        json: print one JSON object instead of a table.
    """

    agents: tuple[str, ...] = ("gru", "lmu", "shm", "ntm_tape")
    steps: int = 1_000_000
    seeds: int = 3
    episodes: int = 100
    budget: float | None = None
    concurrent: int | None = None
    address: str | None = None
    out: str = "popgym"
    report: Switch = False
    json: Switch = False


def main(argv: Sequence[str]) -> int:
    """Train what is missing of the table, and write it; returns the exit code."""
    words, rest = split_words(argv)
    page = Page("lukasa popgym [FAMILY|ENVIRONMENT ...]", (PopgymOptions.__doc__ or "").partition("\n")[0], EXAMPLES)
    options = parse(PopgymOptions, rest, prog=page.prog, page=lambda: page)
    cells = asked_cells(words, options)
    out = Path(options.out)
    folder = Folder(out)
    code = 0 if options.report else _run(folder, cells, options)
    found = rows_of(cells, folder)
    pages = write_table(out, found, steps=options.steps, episodes=options.episodes)
    if options.json:
        print(json.dumps({"rows": found, "pages": [str(one) for one in pages]}))
    else:
        print("\n".join([*table_lines(found), *map(str, pages)]))
    if code > 1:
        print("stopped; the same command goes on", file=sys.stderr)
    return code


def asked_cells(words: Sequence[str], options: PopgymOptions) -> list[Cell]:
    """The table that a command line asks for: environment by environment, agent by agent.

    Raises:
        UserError: an environment or an agent is unknown, or a number is too small.
    """
    check_least(options, steps=1, seeds=1, episodes=1, concurrent=1, budget=0)
    envs = list(dict.fromkeys(env for word in words or RANDOM for env in asked_envs(word)))
    agents = list(dict.fromkeys(options.agents))
    return [Cell(env, agent, _jobs(env, agent, options)) for env in envs for agent in agents]


def asked_envs(word: str) -> list[str]:
    """The environments that a word names: those of a family, one of them, or all.

    Raises:
        UserError: there is no such family or environment.

    Example:
        >>> asked_envs("Autoencode")[0], asked_envs("popgym-AutoencodeHard-v0"), asked_envs("AutoencodeHard")
        ('popgym-AutoencodeEasy-v0', ['popgym-AutoencodeHard-v0'], ['popgym-AutoencodeHard-v0'])
    """
    known = {f"{family}{level}": env_id(family, level) for family in FAMILIES for level in LEVELS}
    short = short_name(word)
    if short == "all":
        return list(known.values())
    if short in FAMILIES:
        return [env_id(short, level) for level in LEVELS]
    if short not in known:
        raise UserError(f"POPGym has no environment {word!r}: {nearest(short, ['all', *FAMILIES, *known])}")
    return [known[short]]


def _jobs(env: str, agent: str, options: PopgymOptions) -> tuple[Job, ...]:
    words = ["rl", "--env", env, *_words_of(agent), "--steps", str(options.steps)]
    scored = ("--episodes", str(options.episodes))
    name = f"{short_name(env)}.{agent.replace(':', '.')}"
    return tuple(Job(f"{name}.{seed}", tuple(words), scored, seed) for seed in range(options.seeds))


def _words_of(agent: str) -> list[str]:
    """How an agent is trained: its own settings on top of the common ones."""
    if agent in AGENTS:
        return [*COMMON, *AGENTS[agent].words]
    if not is_own(agent) and agent not in (cores := rows("cores")):
        raise UserError(f"there is no agent {agent!r}: {nearest(agent, [*AGENTS, *cores])}")
    described("cores", "core", agent)  # one of one's own can be imported, and has defaults
    return [*COMMON, "--core", agent]


def _run(folder: Folder, cells: Sequence[Cell], options: PopgymOptions) -> int:
    """Train and score what is missing, the first seed of every cell first; returns the exit code."""
    from lukasa.launch.campaigns.jobs import run_campaign

    _need_popgym()
    if options.address:
        from lukasa.launch.ray.session import check_address

        check_address(options.address)
    jobs = [cell.jobs[seed] for seed in range(options.seeds) for cell in cells]
    where = ["--ray", "--address", options.address] if options.address else []
    return run_campaign(folder, jobs, at_once=options.concurrent, minutes=options.budget, where=where)


def _need_popgym() -> None:
    """Refuse to begin without the package, rather than fail in every run.

    Raises:
        MissingExtraError: it is not installed.
    """
    from lukasa import envs

    envs.make("popgym-RepeatPreviousEasy-v0").close()
