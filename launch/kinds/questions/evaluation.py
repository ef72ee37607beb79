"""``lukasa eval`` of readers: errors by task, beside what papers report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, cast

import torch
from rich.table import Table

from lukasa.agents.questions import Answered, Answerer, evaluate_questions, mean_surprise
from lukasa.ground.mistakes import UserError, as_user_error
from lukasa.launch.kinds.ablation import named, wiped
from lukasa.launch.kinds.figures import Result, figure, wiped_rows
from lukasa.launch.kinds.kind import Evaluation
from lukasa.launch.kinds.questions.data import ALL, groups_of, load_questions
from lukasa.launch.kinds.questions.experiment import QuestionExperiment
from lukasa.launch.kinds.questions.job import build_reader, weights_in
from lukasa.launch.kinds.questions.published import DIALOG, DIALOG_OOV, FAILED, Published, published
from lukasa.launch.options.fields import Switch
from lukasa.launch.options.tables import print_table
from lukasa.launch.runs.checkpoints import Checkpoint, find_checkpoint, fitting, load_checkpoint, to_plain
from lukasa.launch.runs.directory import Run
from lukasa.launch.training.by_batch import on_this_machine
from lukasa.memory import state_parts
from lukasa.memory.readers import Reader, Recurrent

Criterion = Literal["training", "validation"]
Wiped = Literal["story", "memory", "controller", "both"]


@dataclass(frozen=True)
class EvalOptions:
    """Score trained readers on questions, task by task.

    Attributes:
        part: part of the questions: test by default, validation or train, and others that the set has.
        checkpoint: which checkpoint to score: best, last, or its name.
        without: score without the story, which leaves guessing from the question; of a core as a reader, also with its
            memory, its controller, or both wiped before every sentence.
        ablation: score as trained, and without each of these in turn.
        best_of: of several seeds, score for each task the reader of the lowest loss on training or on validation
            questions, as papers that report the best of several starts do.
        json: print one JSON object.
    """

    part: str = "test"
    checkpoint: str = "best"
    without: Wiped | None = None
    ablation: Switch = False
    best_of: Criterion | None = None
    json: Switch = False


@dataclass(frozen=True)
class TrainedReaders:
    """Trained readers out of a run directory.

    Attributes:
        experiment: what was trained.
        checkpoint: where they come from.
        readers: by name, "task 3" or "all tasks".
    """

    experiment: QuestionExperiment
    checkpoint: Checkpoint
    readers: Mapping[str, Reader]


def evaluate_run(run: Run, experiment: QuestionExperiment, options: EvalOptions) -> dict[str, Any]:
    """Score a run; the keys are those that ``lukasa eval --json`` prints.

    Raises:
        UserError: an option cannot be used, or there is no checkpoint.
    """
    if options.best_of is not None:
        raise UserError(f"--best-of {options.best_of} chooses among several seeds, and run {run.path} has one")
    trained = load_readers(run, experiment, options.checkpoint)
    parts = _parts_to_wipe(trained, options)
    found = [_answered(trained, options.part, part) for part in parts]
    result = _result(run.path, trained, options, found[0]) | {"without": options.without}
    if options.ablation:
        scored = [_result(run.path, trained, options, one)["score"] for one in found]
        result["ablation"] = [{"without": part, "score": score} for part, score in zip(parts, scored, strict=True)]
    return result


def _parts_to_wipe(trained: TrainedReaders, options: EvalOptions) -> list[Wiped | None]:
    """What to leave out, one after the other; None for nothing.

    Raises:
        UserError: the readers have no such part, or both options are given.
    """
    reader = next(iter(trained.readers.values()))
    known: list[Wiped] = ["story"]
    if isinstance(reader, Recurrent):
        known += cast("list[Wiped]", state_parts(reader.core))
    if options.ablation and options.without:
        raise UserError(f"--ablation leaves out each part in turn: leave --without {options.without} out")
    if options.without and options.without not in known:
        raise UserError(
            f"--without {options.without} is for cores as readers that carry one, and reader "
            f"{trained.experiment.reader!r} is none: take --without {' or '.join(known)}"
        )
    return [None, *known] if options.ablation else [options.without]


def evaluate_starts(
    path: Any, runs: Sequence[tuple[int, Run, QuestionExperiment]], options: EvalOptions
) -> dict[str, Any] | None:
    """Score the best of several seeds; None where all of them are to be scored.

    Args:
        path: of the experiment.
        runs: of each seed.
        options: of ``lukasa eval``.

    Raises:
        UserError: an option cannot be used, or a seed has no checkpoint.
    """
    if options.best_of is None:
        return None
    if options.ablation or options.without:
        raise UserError("--best-of scores what is best as trained: leave --ablation and --without out")
    part = {"training": "train", "validation": "validation"}[options.best_of]
    best: dict[str, tuple[float, int, TrainedReaders]] = {}
    for seed, run, experiment in runs:
        trained = load_readers(run, experiment, options.checkpoint)
        for name, answered in _answered(trained, part).items():
            loss = mean_surprise(answered)
            if name not in best or loss < best[name][0]:
                best[name] = (loss, seed, trained)
    trained = next(iter(best.values()))[2]
    chosen = replace(trained, readers={name: one.readers[name] for name, (_, _, one) in best.items()})
    result = _result(path, chosen, options, _answered(chosen, options.part))
    return result | {"best_of": options.best_of, "starts": len(runs), "seeds": {n: one[1] for n, one in best.items()}}


def load_readers(run: Run, experiment: QuestionExperiment, which: str) -> TrainedReaders:
    """Rebuild the readers of a run from its config and a checkpoint.

    Raises:
        UserError: there is no such checkpoint, or it is cut short.
    """
    experiment = on_this_machine(experiment)
    checkpoint = find_checkpoint(run.checkpoints, which)
    state = to_plain(load_checkpoint(checkpoint))
    torch.set_num_threads(experiment.threads)
    readers = {}
    for name, tasks in groups_of(experiment).items():
        readers[name] = build_reader(experiment, tasks).eval()
        with fitting(checkpoint):
            readers[name].load_state_dict(weights_in(state, name))
    return TrainedReaders(experiment, checkpoint, readers)


def load_answerer(run: Run, experiment: QuestionExperiment, checkpoint: str, task: int | None = None) -> Answerer:
    """What answers questions in words.

    Args:
        run: its directory.
        experiment: what was trained.
        checkpoint: best, last, or a name.
        task: whose reader, where each task has one; the only one by default.

    Raises:
        UserError: there is no such checkpoint or task, or several readers and no task is named.
    """
    groups = groups_of(experiment)
    name = ALL if ALL in groups else f"task {task}"
    if task is None and len(groups) == 1:
        name = next(iter(groups))
    if name not in groups:
        tasks = ", ".join(str(one) for some in groups.values() for one in some)
        what = "which task's reader is to answer" if task is None else f"no reader of task {task}"
        naming = f"name a task (--task N; task=N in Python), one of {tasks}"
        raise UserError(f"run {run.path} has a reader for each task, {what}: {naming}")
    if task is not None and task not in groups[name]:
        tasks = ", ".join(map(str, groups[name]))
        raise UserError(f"run {run.path} has no task {task}: its one reader answers questions of the tasks {tasks}")
    trained = load_readers(run, experiment, checkpoint)
    return Answerer(trained.readers[name], load_questions(experiment, "train", groups[name]).vocabulary)


def _answered(trained: TrainedReaders, part: str, without: Wiped | None = None) -> dict[str, list[Answered]]:
    experiment = trained.experiment
    found = {}
    for name, tasks in groups_of(experiment).items():
        reader, questions = trained.readers[name], load_questions(experiment, part, tasks)
        if without == "story":
            questions = questions.without_stories()
        with as_user_error(), _wiped(reader, without):
            found[name] = evaluate_questions(reader, questions)
    return found


@contextmanager
def _wiped(reader: Reader, part: Wiped | None) -> Iterator[None]:
    """A core as a reader, with a part of what it carries wiped before every sentence."""
    if part in (None, "story") or not isinstance(reader, Recurrent):
        yield
        return
    whole = reader.core
    reader.core = wiped(whole, part)
    try:
        yield
    finally:
        reader.core = whole


def _result(path: Any, trained: TrainedReaders, options: EvalOptions, found: Mapping[str, list[Answered]]) -> Any:
    experiment = trained.experiment
    answered = sorted((one for some in found.values() for one in some), key=lambda one: one.task)
    size = str(experiment.dataset.get("size", "en-10k"))
    reader = str(experiment.options.get("core", "lstm")) if experiment.reader == "recurrent" else experiment.reader
    reported = published(reader, experiment.data, size, experiment.apart) if options.part == "test" else None
    unit = load_questions(experiment, options.part, next(iter(groups_of(experiment).values()))).unit
    errors = unit.startswith("error")
    rows = [
        {
            "task": one.task,
            "title": one.title,
            "questions": one.questions,
            "score": one.error if errors else 100 - one.error,
            "interval": one.interval if errors else tuple(100 - end for end in reversed(one.interval)),
            "surprise": one.surprise,
            "whole": one.whole,
            "published": _published_of(experiment, reported, options.part, one.task),
        }
        for one in answered
    ]
    scores = [row["score"] for row in rows]
    return {
        "run": str(path),
        "checkpoint": trained.checkpoint.name,
        "reader": reader,
        "data": experiment.data_title,
        "part": options.part,
        "unit": unit,
        "apart": experiment.apart,
        "score": sum(scores) / len(scores),
        "failed": sum(one.error > FAILED for one in answered),
        "rows": rows,
        "published": asdict(reported) if reported else None,
        "best_of": None,
    }


def _published_of(experiment: QuestionExperiment, reported: Published | None, part: str, task: int) -> float | None:
    if experiment.data == "dialog" and experiment.reader == "memn2n":
        return {"test": DIALOG, "test_oov": DIALOG_OOV}.get(part, {}).get(task)
    return reported.tasks[task - 1] if reported and reported.tasks else None


def describe(result: dict[str, Any]) -> None:
    """Print the result for people."""
    rows, reported = result["rows"], result["published"]
    beside = any(row["published"] is not None for row in rows) or reported
    chosen = f", best of {result['starts']} starts by {result['best_of']} loss" if result["best_of"] else ""
    without = f", without {result['without']}" if result.get("without") else ""
    title = (
        f"{result['reader']} on {result['data']}, {result['part']} questions, {result['checkpoint']}{without}{chosen}"
    )
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("task", no_wrap=True)
    grouped = any(row["whole"] is not None for row in rows)
    columns = ("asked", result["unit"], "95 %")
    for column in (*columns, *(["paper"] if beside else []), *(["whole %"] if grouped else [])):
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        low, high = row["interval"]
        paper = [_number(row["published"])] if beside else []
        name = f"{row['task']:>2} {row['title']}"
        dialogs = [_number(row["whole"] and round(row["whole"], 1))] if grouped else []
        table.add_row(
            name, f"{row['questions']:,}", f"{row['score']:.1f}", f"{low:.1f} to {high:.1f}", *paper, *dialogs
        )
    paper = [_number(reported and reported["mean"])] if beside else []
    table.add_row("mean", "", f"{result['score']:.2f}", "", *paper)
    if result["unit"].startswith("error"):
        paper = [_number(reported and reported["failed"])] if beside else []
        table.add_row(f"failed (more than {FAILED:g} %)", "", f"{result['failed']}", "", *paper)
    print_table(table)
    if "ablation" in result:
        print("\n".join(f"without {named(one['without'])}: {one['score']:.2f}" for one in result["ablation"]))
    if grouped:
        print("whole: percent of the dialogs all of whose responses are right")
    if reported:
        print(f"paper: {reported['paper']}, mean and failed of all 20 tasks")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"


def figure_of(result: Result) -> dict[str, Any]:
    """The score on all tasks; its interval where there is one task."""
    rows = result["rows"]
    of = f"{sum(row['questions'] for row in rows):,} {result['part']} questions, {result['data']}"
    row = {"score": result["score"], "interval": rows[0]["interval"] if len(rows) == 1 else None}
    best = 0.0 if result["unit"].startswith("error") else 100.0
    return figure(result["unit"], row, of=of, best=best, ablation=wiped_rows(result))


EVALUATION = Evaluation(EvalOptions, evaluate_run, describe, evaluate_starts, figure_of)
"""How readers are evaluated."""
