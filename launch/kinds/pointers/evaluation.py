"""``lukasa eval`` of models that point: exactness, area, triangles and lengths by size, or a user's own points."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from rich.table import Table

from lukasa.agents.pointers import PointerAgent, evaluate_pointing
from lukasa.ground.mistakes import UserError, as_user_error
from lukasa.launch.kinds.figures import Result, figure, wiped_rows
from lukasa.launch.kinds.kind import Evaluation
from lukasa.launch.kinds.pointers.experiment import MOST_POINTS, PointerExperiment, read_range
from lukasa.launch.kinds.pointers.job import build_model, task_of
from lukasa.launch.kinds.pointers.own_points import answer_file, describe_answers
from lukasa.launch.kinds.pointers.published import PAPER, model_name, published
from lukasa.launch.options.bounds import check_least
from lukasa.launch.options.fields import Switch
from lukasa.launch.options.tables import print_table
from lukasa.launch.runs.checkpoints import Checkpoint, find_checkpoint, fitting, load_checkpoint, to_plain
from lukasa.launch.runs.directory import Run
from lukasa.launch.training.by_batch import on_this_machine
from lukasa.memory.pointers import Pointer
from lukasa.tasks.pointing import sample_points

FIRST_SEED = 3_000_000
"""Added to the seed of what is tested on, which must not be what training or validation draws."""
WIPED = {"keys": "what it encoded of the points", "summary": "the state that the decoder begins with"}


@dataclass(frozen=True)
class EvalOptions:
    """Score a trained model on new sets of points, size by size, or answer those of a file.

    Attributes:
        checkpoint: which checkpoint to score: best, last, or its name.
        sizes: points of the sets to test on, such as 5,10,50, also beyond those of training; by default those of
            training, of a range its ends and middle.
        sets: sets of each size.
        beams: answers kept at each step of the search; greedy with one.
        seed: of the sets.
        without: score with a part wiped: keys, what is known of the points where one is chosen, or summary, the state
            that the decoder begins with.
        ablation: score as trained, and without each of these in turn.
        points: file of your own points to answer, .csv with a point x,y on each line or .npz with an array points.
        fit: move and scale each set of that file into the unit square.
        json: print one JSON object.
    """

    checkpoint: str = "best"
    sizes: str | None = None
    sets: int = 1000
    beams: int = 1
    seed: int = 0
    without: Literal["keys", "summary"] | None = None
    ablation: Switch = False
    points: str | None = None
    fit: Switch = False
    json: Switch = False


def read_sizes(text: str | None, experiment: PointerExperiment, least: int, option: str = "--sizes") -> list[int]:
    """The sizes to test on.

    Raises:
        UserError: the text is no list of sizes, or one is too small or too large.
    """
    if text is None:
        first, last = read_range(experiment.points)
        return sorted({first, (first + last) // 2, last})
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise UserError(f"option {option} is {text!r}: expected numbers of points, such as 5,10,50")
    found = list(dict.fromkeys(map(int, parts)))
    if min(found) < least or max(found) > MOST_POINTS:
        raise UserError(f"option {option} is {text!r}: expected numbers from {least} to {MOST_POINTS:,}")
    return found


def load_model(run: Run, experiment: PointerExperiment, which: str) -> tuple[Pointer, Checkpoint]:
    """Rebuild the model of a run from its config and a checkpoint.

    Raises:
        UserError: there is no such checkpoint, or it is cut short.
    """
    experiment = on_this_machine(experiment)
    checkpoint = find_checkpoint(run.checkpoints, which)
    state = to_plain(load_checkpoint(checkpoint))
    torch.set_num_threads(experiment.threads)
    model = build_model(experiment).eval()
    with fitting(checkpoint):
        model.load_state_dict(state["trainer"]["model"])
    return model, checkpoint


def load_pointer_agent(run: Run, experiment: PointerExperiment, which: str) -> PointerAgent:
    """What answers sets of points in any program.

    Raises:
        UserError: there is no such checkpoint, or it is cut short.
    """
    return PointerAgent(load_model(run, experiment, which)[0], task_of(experiment))


def evaluate_run(run: Run, experiment: PointerExperiment, options: EvalOptions) -> dict[str, Any]:
    """Score the model of a run, or answer a file.

    Raises:
        UserError: an option cannot be used, or there is no checkpoint.
        tasks.DataError: the file of points cannot be used.
    """
    _check(options)
    task = task_of(experiment)
    model, checkpoint = load_model(run, experiment, options.checkpoint)
    result: dict[str, Any] = {
        "run": str(run.path),
        "checkpoint": checkpoint.name,
        "model": model_name(experiment),
        "task": experiment.task,
        "trained_on": experiment.points,
        "beams": options.beams,
        "without": options.without,
        "unit": "exact %",
    }
    if options.points is not None:
        return result | answer_file(Path(options.points), model, task, beams=options.beams, fit=options.fit)
    sizes = read_sizes(options.sizes, experiment, task.least)
    with as_user_error():
        rows = [_row(model, experiment, size, options, options.without or "") for size in sizes]
        if options.ablation:
            parts = [(None, rows)]
            parts += [(part, [_row(model, experiment, size, options, part) for size in sizes]) for part in WIPED]
            result["ablation"] = [{"without": part, "score": _mean(found)} for part, found in parts]
    return result | {"parts": task.parts, "score": _mean(rows), "rows": rows}


def _check(options: EvalOptions) -> None:
    check_least(options, sets=1, beams=1, seed=0)
    if options.ablation and options.without:
        raise UserError(f"--ablation leaves out each part in turn: leave --without {options.without} out")
    if options.points is not None and (options.ablation or options.without or options.sizes):
        raise UserError("--points answers a file of your own: leave --sizes, --without and --ablation out")
    if options.fit and options.points is None:
        raise UserError("--fit moves the points of a file into the unit square: add --points FILE")


def _row(model: Pointer, experiment: PointerExperiment, size: int, options: EvalOptions, wipe: str) -> dict[str, Any]:
    task = task_of(experiment)
    generator = torch.Generator().manual_seed(FIRST_SEED + options.seed)
    sets = sample_points(task, options.sets, size, size, generator)
    row = asdict(evaluate_pointing(model, task, sets, beams=options.beams, wipe=wipe))
    reported, trained = published(experiment.task, model_name(experiment), experiment.points, size)
    return row | {"published": reported, "published_trained_on": trained}


def _mean(rows: list[dict[str, Any]]) -> float:
    return sum(row["exact"] for row in rows) / len(rows)


def describe(result: dict[str, Any]) -> None:
    """Print the result for people."""
    if "answers" in result:
        describe_answers(result)
        return
    rows, parts = result["rows"], result["parts"]
    beside = any("exact" in row["published"] for row in rows)
    how = "greedy" if result["beams"] == 1 else f"{result['beams']} beams"
    without = f", without {WIPED[result['without']]}" if result["without"] else ""
    title = f"{result['model']} on {result['task']}, trained on {result['trained_on']} points, "
    title += f"{result['checkpoint']}, {how}{without}"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    columns = ["points", "sets", "exact %", *(["paper"] if beside else []), "95 %"]
    for name, unit in parts.items():
        columns += [unit, *(["paper"] if any(name in row["published"] for row in rows) else [])]
    for column in (*columns, "none %"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        low, high = row["exact_interval"]
        cells = [f"{row['size']}", f"{row['sets']:,}", f"{row['exact']:.1f}"]
        cells += [_number(row["published"].get("exact"), 1)] if beside else []
        cells += [f"{low:.1f} to {high:.1f}"]
        for name in parts:
            cells.append(_number(row["parts"][name], 2))
            cells += [_number(row["published"].get(name), 2)] if any(name in one["published"] for one in rows) else []
        table.add_row(*cells, f"{row['failed']:.1f}")
    print_table(table)
    for one in result.get("ablation", ()):
        print(f"{'as trained' if one['without'] is None else 'without ' + WIPED[one['without']]}: {one['score']:.1f}")
    trained = sorted({row["published_trained_on"] for row in rows if row["published"]})
    if trained:
        print(f"paper: {PAPER}, trained on {' or '.join(trained)} points")


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def figure_of(result: Result) -> dict[str, Any]:
    """The share of sets of all sizes that are answered exactly."""
    of = f"sets of {', '.join(str(row['size']) for row in result['rows'])} points"
    return figure(result["unit"], result, of=of, best=100.0, ablation=wiped_rows(result))


EVALUATION = Evaluation(EvalOptions, evaluate_run, describe, figure=figure_of)
"""How models that point are evaluated."""
