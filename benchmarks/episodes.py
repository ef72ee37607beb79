"""``lukasa bench episodes``: episodes that the Omniglot samplers draw a second, and their share of training time."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from lukasa.ground.mistakes import UserError
from lukasa.ground.names import nearest
from lukasa.launch.kinds.few_shot.recipes import FEW_SHOT_RECIPES, SEQUENCE_RECIPES
from lukasa.launch.options.bounds import check_least
from lukasa.launch.options.fields import Switch
from lukasa.launch.options.parsing import parse


@dataclass(frozen=True)
class Settings:
    """Measure drawing a batch of episodes, and how long training on them waits for the next one.

    Attributes:
        recipes: which, with commas between.
        batches: timed of each; the medians are told.
        warm_up: batches before them.
        source: of the pictures: real, generated, or auto for real characters where they can be had.
        threads: of this process.
        out: write the rows here as JSON.
        json: print the rows as JSON.
    """

    recipes: str = "omniglot_mann,omniglot_lstm,omniglot_prototypical,omniglot_matching,omniglot_maml,omniglot_snail"
    batches: int = 20
    warm_up: int = 2
    source: str = "auto"
    threads: int = 1
    out: Path | None = None
    json: Switch = False


@dataclass(frozen=True)
class Row:
    """One recipe; times are medians, milliseconds.

    Attributes:
        recipe: its name.
        data: where the pictures came from.
        batch: episodes in a batch.
        pictures: in an episode.
        draw_ms: to draw a batch, with nothing beside it.
        step_ms: to draw a batch and learn from it.
        episodes_per_second: that are drawn.
        share: of training time that is waiting for a batch; a recipe that prefetches draws while it trains.
    """

    recipe: str
    data: str
    batch: int
    pictures: int
    draw_ms: float
    step_ms: float
    episodes_per_second: float
    share: float


class Work(NamedTuple):
    """What is timed of a recipe."""

    draw: Callable[[], object]  # a batch
    learn: Callable[[], object]  # draws a batch and trains on it; tells the share of it that was waiting, or nothing
    data: str
    batch: int
    pictures: int


def measure(recipe: str, settings: Settings) -> Row:
    """Train, one batch after another as a run does, then draw as many."""
    work = _prepared(recipe, settings.source)
    for _ in range(settings.warm_up):
        work.learn()
    steps, waits = zip(*(_timed(work.learn) for _ in range(settings.batches)), strict=True)
    draws, _ = zip(*(_timed(work.draw) for _ in range(settings.batches)), strict=True)
    draw, step = statistics.median(draws), statistics.median(steps)
    share = draw / step if None in waits else statistics.median(waits)
    return Row(recipe, work.data, work.batch, work.pictures, draw, step, 1000 * work.batch / draw, share)


def _prepared(recipe: str, source: str) -> Work:
    generator = torch.Generator().manual_seed(0)
    if recipe in SEQUENCE_RECIPES:
        from lukasa.launch.kinds.supervised.job import make_trainer as make_sequence_trainer

        task = SEQUENCE_RECIPES[recipe]()
        task = replace(task, sampler={**task.sampler, "source": source})
        trainer, size = make_sequence_trainer(task), task.batch_size
        # A curriculum begins with fewer classes; both draw at its present level.
        sampler = replace(trainer.source.sampler, **trainer.source.curriculum.draw(generator))  # pyright: ignore
        data = sampler.data  # pyright: ignore
        pictures = int(sampler.sample(1, generator).mask.shape[1])
        return Work(lambda: sampler.sample(size, generator), lambda: trainer.step().draw_wait, data, size, pictures)
    from lukasa.launch.kinds.few_shot.job import make_trainer as make_episode_trainer

    experiment = replace(FEW_SHOT_RECIPES[recipe](), source=source)
    learning, size = make_episode_trainer(experiment), experiment.batch_size
    shots = learning.source.shots
    pictures = shots.ways * (shots.shots + shots.queries)

    def learn() -> None:
        learning.step()

    return Work(lambda: shots.sample(size, generator), learn, shots.examples.source, size, pictures)


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = work()
    return 1000 * (time.perf_counter() - start), result


def main(argv: Sequence[str]) -> int:
    """Print a table, or JSON; write JSON where asked.

    Raises:
        UserError: a recipe is unknown, or a number cannot be used.
        tasks.DataError: the pictures cannot be had.
    """
    settings = parse(Settings, argv, prog="lukasa bench episodes")
    known = [*FEW_SHOT_RECIPES, *SEQUENCE_RECIPES]
    recipes = [word.strip() for word in settings.recipes.split(",")]
    for recipe in recipes:
        if recipe not in known:
            raise UserError(f"unknown recipe {recipe!r}: {nearest(recipe, known)}")
    check_least(settings, batches=1, warm_up=0, threads=1)
    torch.set_num_threads(settings.threads)
    rows = []
    for recipe in recipes:
        rows.append(measure(recipe, settings))
        print(f"{recipe}: {rows[-1].share:.1%} of training time", file=sys.stderr)
    if settings.out is not None:
        settings.out.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    if settings.json:
        print(json.dumps([asdict(row) for row in rows]))
    else:
        Console().print(_table(rows))
    return 0


def _table(rows: Sequence[Row]) -> Table:
    table = Table(title=f"Drawing and training, {rows[0].data}; medians", box=SIMPLE)
    for name in ("recipe", "batch", "shown", "draw ms", "learn ms", "drawn/s", "share"):
        table.add_column(name, justify="left" if name == "recipe" else "right", no_wrap=True)
    for row in rows:
        sizes = (str(row.batch), str(row.pictures))
        times = (f"{row.draw_ms:.2f}", f"{row.step_ms:.1f}", f"{row.episodes_per_second:,.0f}", f"{row.share:.1%}")
        table.add_row(row.recipe, *sizes, *times)
    table.caption = "shown: pictures of an episode; ms of a batch; learn draws and trains; share of training that waits"
    return table
