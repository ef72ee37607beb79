"""``lukasa eval`` of a trained core: its score on sequences it has not seen, and on longer ones."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from rich.table import Table

from lukasa import memory, tasks
from lukasa.agents.sequence import evaluate
from lukasa.ground.mistakes import UserError
from lukasa.launch.kinds.ablation import Part, named, parts_to_wipe, title_of, wiped
from lukasa.launch.kinds.figures import Result, figure, wiped_rows
from lukasa.launch.kinds.kind import Evaluation
from lukasa.launch.kinds.supervised.experiment import TaskExperiment
from lukasa.launch.kinds.supervised.job import make_core
from lukasa.launch.kinds.supervised.presentations import observer, presentations_table, published
from lukasa.launch.kinds.supervised.settings import (
    length_name,
    length_settings,
    make_sampler,
    note_on_slots,
    split_sequences,
    split_settings,
)
from lukasa.launch.options.bounds import check_least
from lukasa.launch.options.fields import Switch
from lukasa.launch.options.tables import print_table
from lukasa.launch.runs.checkpoints import Checkpoint, find_checkpoint, fitting, load_checkpoint, to_plain
from lukasa.launch.runs.directory import Run
from lukasa.launch.training.by_batch import on_this_machine
from lukasa.tasks import Sampler

SEQUENCES_OF_A_LENGTH = 200


@dataclass(frozen=True)
class EvalOptions:
    """Score a trained core on sequences of its task.

    Attributes:
        split: which sequences: validation, test, or longer ones where the task has them.
        task: another task with the same inputs and outputs, such as london_traversal after traversal.
        length: lengths to test, such as 10,20,30,50,120, instead of a split: a table of scores.
        sequences: number of sequences, of each length; by default those of the split, and 200 of each length.
        slots: give the memory so many slots instead of those it was trained with.
        rounding: take the likeliest action of a stack or list as if it were certain (eval), or not (never), whatever
            the run was trained with.
        checkpoint: which checkpoint to score: best, last, or its name.
        teacher_forcing: where outputs feed back, show the right answers instead of the core's own.
        without: wipe a part of what the core carries before every step: its memory, its controller, or both.
        ablation: score the core intact, and with each part wiped in turn.
        json: print one JSON object.
    """

    split: str = "test"
    task: str | None = None
    length: str | None = None
    sequences: int | None = None
    slots: int | None = None
    rounding: Literal["never", "eval"] | None = None
    checkpoint: str = "best"
    teacher_forcing: Switch = False
    without: Part | None = None
    ablation: Switch = False
    json: Switch = False


@dataclass(frozen=True)
class TrainedCore:
    """A trained core out of a run directory."""

    experiment: TaskExperiment
    checkpoint: Checkpoint
    core: memory.Core


def evaluate_run(run: Run, experiment: TaskExperiment, options: EvalOptions) -> dict[str, Any]:
    """Score a run; the keys are those that ``lukasa eval --json`` prints.

    Raises:
        UserError: an option cannot be used, or there is no checkpoint.
    """
    check_least(options, sequences=1)
    lengths = read_lengths(options.length)
    split = options.split if lengths is None else "test"
    trained_on = experiment
    if options.task not in (None, experiment.task):
        tasks.make_task(options.task)  # tells an unknown name
        experiment = replace(experiment, task=options.task, sampler={})
    if split not in tasks.TASKS.find(experiment.task).splits or split == "train":
        known = [name for name in tasks.TASKS.find(experiment.task).splits if name != "train"]
        raise UserError(f"task {experiment.task!r} has no split {split!r} to test on: take {' or '.join(known)}")
    settings = split_settings(experiment, split)
    chosen = [settings] if lengths is None else [settings | length_settings(experiment.task, one) for one in lengths]
    samplers = [make_sampler(experiment.task, split, one) for one in chosen]
    trained = load_core(run, trained_on, options.checkpoint, options.slots, options.rounding)
    check_widths(trained, experiment.task, samplers[0])
    print(f"{trained.checkpoint.path} on {split} sequences of {experiment.task}", file=sys.stderr)
    count = options.sequences or (None if lengths is None else SEQUENCES_OF_A_LENGTH)

    def scored(part: str | None) -> list[dict[str, Any]]:
        wiping = replace(trained, core=wiped(trained.core, part))
        rows = [_row(wiping, experiment.task, one, split, count, options.teacher_forcing) for one in samplers]
        if lengths is None:
            return [{"split": split, "without": part} | row for row in rows]
        return [{"length": one, "without": part} | row for one, row in zip(lengths, rows, strict=True)]

    parts = parts_to_wipe(trained.core, options.without, options.ablation)
    rows = [row for part in parts for row in scored(part)]
    result: dict[str, Any] = {
        "run": str(run.path),
        "checkpoint": trained.checkpoint.name,
        "task": experiment.task,
        "core": experiment.core,
        "unit": samplers[0].spec.unit,
        "teacher_forcing": options.teacher_forcing,
        "without": options.without,
    }
    intact = rows[: len(samplers)]
    result |= intact[0] if lengths is None else {"length_is": length_name(experiment.task), "lengths": intact}
    return result | ({"ablation": rows} if options.ablation else {})


def load_core(
    run: Run, experiment: TaskExperiment, which: str, slots: int | None = None, rounding: str | None = None
) -> TrainedCore:
    """Rebuild the core of a run from its config and a checkpoint.

    Args:
        run: the run.
        experiment: what it trained.
        which: the checkpoint.
        slots: of the memory; as trained when None.
        rounding: of actions; as trained when None.

    Raises:
        UserError: there is no such checkpoint, it is cut short, or the core cannot have other slots or be rounded.
    """
    known = memory.core_options(experiment.core)
    if slots is not None:
        if "slots" not in known:
            raise UserError(f"core {experiment.core!r} has no slots: leave --slots out")
        experiment = replace(experiment, memory={**experiment.memory, "slots": slots})
    if rounding is not None:
        if "rounding" not in known:
            raise UserError(f"core {experiment.core!r} has no actions to round: leave --rounding out")
        experiment = replace(experiment, memory={**experiment.memory, "rounding": rounding})
    experiment = on_this_machine(experiment)
    checkpoint = find_checkpoint(run.checkpoints, which)
    state = to_plain(load_checkpoint(checkpoint))
    torch.set_num_threads(experiment.threads)
    core = make_core(experiment, make_sampler(experiment.task, "train", dict(experiment.sampler)).spec)
    try:
        with nullcontext() if slots is not None else fitting(checkpoint):
            core.load_state_dict(state["trainer"]["core"])
    except RuntimeError:
        raise UserError(
            f"this {experiment.core!r} learned something for each of its slots, such as the initial weights of an NTM, "
            "so their number is fixed: leave --slots out, or train with --memory.initial-weights first"
        ) from None
    return TrainedCore(experiment, checkpoint, core)


def read_lengths(text: str | None) -> list[int] | None:
    """Lengths out of the command line.

    Raises:
        UserError: one is not a whole number above 0.

    Example:
        >>> read_lengths("10,20")
        [10, 20]
    """
    if text is None:
        return None
    words = [word.strip() for word in text.split(",")]
    for word in words:
        if not word.isdecimal() or int(word) < 1:
            raise UserError(f"option --length has {word!r}: expected whole numbers such as 10,20,50")
    return [int(word) for word in words]


def describe(result: dict[str, Any]) -> None:
    """Print the result for people."""
    title = f"{result['core']} on {result['task']}, {result['checkpoint']}{title_of(result['without'])}"
    rows = result.get("ablation") or result.get("lengths", [result])
    table = Table(title=f"{title}: {result['unit']}", title_justify="left", box=None, pad_edge=False)
    first = result["length_is"] if "lengths" in result else "split"
    in_bits = result["unit"] == "bits per sequence"
    wiping = "ablation" in result
    columns = [*["wiped"] * wiping, first, "sequences", "score", "95 % confidence", "wrong", "chance", "best"]
    for column in columns if in_bits else [*columns, "bits"]:
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        low, high = row["interval"]
        cells = [
            str(row.get("length", result.get("split"))),
            str(row["sequences"]),
            f"{row['score']:.3f}",
            f"{low:.2f} to {high:.2f}",
            f"{row['wrong']:.2f} %",
            f"{row['chance']:g}",
            f"{row['best']:g}",
        ]
        bits = [] if in_bits else ["-" if row["bits"] is None else f"{row['bits']:.1f}"]
        table.add_row(*[named(row["without"])] * wiping, *cells, *bits)
    print_table(table)
    for row in rows:
        which = f"{first} {row.get('length', result.get('split'))}{title_of(row['without'])}"
        if "presentations" in row:
            print_table(presentations_table(f"\n{which}, {row['data']}", row))
        if row["note"] and row["without"] == rows[0]["without"]:
            print(f"warning: {which}: {row['note']}")


def check_widths(trained: TrainedCore, task: str, sampler: Sampler) -> None:
    """Refuse sequences that are wider or narrower than those the core was trained on.

    Raises:
        UserError: the message gives both widths.
    """
    asked, core = (sampler.spec.input_size, sampler.spec.output_size), trained.core
    if asked != (core.input_size, core.output_size):
        same = task == trained.experiment.task
        other = f"take a task of the same widths as {trained.experiment.task!r}"
        raise UserError(
            f"task {task!r} has inputs and outputs of width {asked}, the core was trained with "
            f"{(core.input_size, core.output_size)}: {'take settings that keep its widths' if same else other}"
        )


def _row(
    trained: TrainedCore, task: str, sampler: Sampler, split: str, count: int | None, forced: bool
) -> dict[str, Any]:
    batches = split_sequences(task, sampler, split, count)
    by_presentation = observer(sampler)
    found = evaluate(trained.core, sampler.spec, batches, teacher_forcing=forced, observe=by_presentation)
    row: dict[str, Any] = {
        "sequences": found.count,
        "score": found.score,
        "interval": found.interval,
        "bits": found.bits,
        "wrong": found.wrong,
        "chance": sampler.spec.chance,
        "best": sampler.spec.best,
        "note": note_on_slots(trained.experiment, sampler),
    }
    if by_presentation is None:
        return row
    return row | {
        "data": getattr(sampler, "data", task),
        "presentations": by_presentation.rows(),
        "published": published(task, sampler),
    }


def figure_of(result: Result) -> dict[str, Any]:
    """The score on a split's sequences."""
    known = {"chance": result["chance"], "best": result["best"]}
    of = f"{result['sequences']:,} {result['split']} sequences"
    return figure(result["unit"], result, of=of, **known, ablation=wiped_rows(result))


EVALUATION = Evaluation(EvalOptions, evaluate_run, describe, figure=figure_of)
"""How trained cores are evaluated."""
