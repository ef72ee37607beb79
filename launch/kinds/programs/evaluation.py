"""``lukasa eval`` of programs: problems by length, all cases of recursive programs, and one problem with its trace."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.table import Table

from lukasa.agents.programs import ProgramAgent, carry_out, fair_budget, verify
from lukasa.agents.programs.verifying import first_failure
from lukasa.ground.files import write_text
from lukasa.ground.mistakes import UserError, as_user_error
from lukasa.ground.names import UnknownNameError
from lukasa.ground.statistics import wilson_interval
from lukasa.launch.kinds.figures import Result, figure
from lukasa.launch.kinds.kind import Evaluation
from lukasa.launch.kinds.programs.experiment import ProgramExperiment
from lukasa.launch.kinds.programs.taught import build_core, tasks_of
from lukasa.launch.options.bounds import check_least
from lukasa.launch.options.fields import Switch
from lukasa.launch.options.tables import print_table
from lukasa.launch.runs.checkpoints import Checkpoint, find_checkpoint, fitting, load_checkpoint, to_plain
from lukasa.launch.runs.directory import Run
from lukasa.launch.training.by_batch import on_this_machine
from lukasa.tasks.programs import TASKS, ProgramTask, cases, frames, read_trace, written_trace
from lukasa.tasks.programs.environment import POINTER_RANGE

AT_ONCE = 1000
"""Problems side by side."""


@dataclass(frozen=True)
class EvalOptions:
    """Score trained programs on new problems by length; recursive ones are verified on all cases there are.

    Attributes:
        lengths: digits or numbers of the problems, such as 100,3000: a line for each; by default as long as the longest
            in training, and three times as long.
        samples: number of problems of each length.
        budget: steps that each problem may take; four times those of the right programs, and a hundred, by default.
        task: which task; all that the core knows by default. Of one problem, the last that was taught.
        problem: carry out this one instead, such as 345+678 or 5,3,9, and print the trace and the answer.
        save: file that the trace of --problem is written to.
        check: say whether the core takes each step of the trace in this file.
        no_verify: leave the cases of recursive programs out; there are tens of thousands.
        checkpoint: which checkpoint to score: best, last, or its name.
        seed: seed of the problems.
        json: print one JSON object.
    """

    lengths: str | None = None
    samples: int = 100
    budget: int | None = None
    task: str | None = None
    problem: str | None = None
    save: str | None = None
    check: str | None = None
    no_verify: Switch = False
    checkpoint: str = "best"
    seed: int = 3
    json: Switch = False


@dataclass(frozen=True)
class TrainedCore:
    """A trained core out of a run directory.

    Attributes:
        experiment: what was trained.
        checkpoint: where it comes from.
        agent: the core, ready to carry out tasks.
    """

    experiment: ProgramExperiment
    checkpoint: Checkpoint
    agent: ProgramAgent


def load_core(run: Run, experiment: ProgramExperiment, which: str) -> TrainedCore:
    """Rebuild the core of a run from its config and a checkpoint.

    Raises:
        UserError: there is no such checkpoint, or it is cut short.
    """
    experiment = on_this_machine(experiment)
    checkpoint = find_checkpoint(run.checkpoints, which)
    state = to_plain(load_checkpoint(checkpoint))
    torch.set_num_threads(experiment.threads)
    core = build_core(experiment)
    with fitting(checkpoint):
        core.load_state_dict(state["trainer"]["core"])
    known, taught = tasks_of(experiment)
    return TrainedCore(experiment, checkpoint, ProgramAgent(core, [*known, *taught], experiment.form, experiment.base))


def load_program_agent(run: Run, experiment: ProgramExperiment, which: str) -> ProgramAgent:
    """What carries out problems in any program.

    Raises:
        UserError: there is no such checkpoint, or it is cut short.
    """
    return load_core(run, experiment, which).agent


def evaluate_run(run: Run, experiment: ProgramExperiment, options: EvalOptions) -> dict[str, Any]:
    """Score a run; the keys are those that ``lukasa eval --json`` prints.

    Raises:
        UserError: an option cannot be used, or there is no checkpoint.
    """
    check_least(options, samples=1, budget=1)
    if options.problem and options.check:
        raise UserError("--problem and --check are two questions: leave one of them out")
    if options.save and not options.problem:
        raise UserError("--save writes the trace of one problem: add --problem")
    lengths = read_lengths(options.lengths) or [experiment.longest, 3 * experiment.longest]
    trained = load_core(run, experiment, options.checkpoint)
    try:
        trained.agent.find(options.task)
    except UnknownNameError as error:
        raise UserError(f"option --task: {error}") from None
    named = {
        "run": str(run.path),
        "checkpoint": trained.checkpoint.name,
        "learner": "npi",
        "data": experiment.tasks,
        "form": experiment.form,
    }
    if options.problem:
        return named | one_problem(trained, options)
    if options.check:
        return named | checked_trace(trained, options.check)
    tasks = [task for task in trained.agent.tasks.values() if options.task in (None, task.name)]
    rows = [_row(trained, task, length, options) for task in tasks for length in lengths]
    verified = {} if options.no_verify or experiment.form != "recursive" else dict(_verified(trained, tasks))
    return named | {"rows": rows, "verified": verified, "asked": not options.no_verify}


def read_lengths(text: str | None) -> list[int] | None:
    """Lengths out of the command line.

    Raises:
        UserError: one is no whole number, or longer than pointers reach.

    Example:
        >>> read_lengths("100, 3000")
        [100, 3000]
    """
    if text is None:
        return None
    words = [word.strip() for word in text.split(",")]
    for word in words:
        if not (word.isascii() and word.isdigit()) or len(word) > 9 or not 1 <= int(word) <= POINTER_RANGE:
            raise UserError(
                f"option --lengths has {word!r}: expected whole numbers from 1 to {POINTER_RANGE:,}, such as 100,3000"
            )
    return list(map(int, words))


def _row(trained: TrainedCore, task: ProgramTask, length: int, options: EvalOptions) -> dict[str, Any]:
    base, form = trained.experiment.base, trained.experiment.form
    generator = torch.Generator().manual_seed(options.seed)
    interpreter, began = trained.agent.interpreter(task), time.perf_counter()
    right, endings, steps, computed, wrong = 0, dict[str, int](), 0, 0, None
    budget = options.budget
    for start in range(0, options.samples, AT_ONCE):
        some = min(AT_ONCE, options.samples - start)
        problems = [task.sample(length, base, generator, exactly=True) for _ in range(some)]
        budget = budget or fair_budget(task, form, base, problems[0])
        done = carry_out(interpreter, task, base, problems, budget)
        right, steps, computed = right + int(done.right.sum()), steps + int(done.steps.sum()), computed + done.computed
        for ending in done.endings:
            endings[ending] = endings.get(ending, 0) + 1
        if wrong is None and not done.right.all():
            place = int((~done.right).argmax())
            wrong = {"problem": task.written(problems[place]), "answer": done.answers[place]}
    low, high = wilson_interval(right / options.samples, options.samples)
    return {
        "task": task.name,
        "length": length,
        "counted": task.counted,
        "samples": options.samples,
        "right": right,
        "accuracy": 100 * right / options.samples,
        "interval": (100 * low, 100 * high),
        "endings": endings,
        "steps": steps,
        "computed": computed,
        "budget": budget,
        "seconds": round(time.perf_counter() - began, 2),
        "wrong": wrong,
    }


def _verified(trained: TrainedCore, tasks: list[ProgramTask]) -> Iterator[tuple[str, dict[str, Any]]]:
    base = trained.experiment.base
    for task in tasks:
        print(f"enumerating the cases of {task.name} in base {base}", file=sys.stderr)
        found = verify(trained.agent.core, task.scene(base), cases(task, base))
        yield task.name, {"cases": found.cases, "failed": found.failed, "said": str(found)}


def one_problem(trained: TrainedCore, options: EvalOptions) -> dict[str, Any]:
    """Carry out one problem.

    Raises:
        UserError: there is no such problem, or the trace cannot be written.
    """
    assert options.problem is not None
    with as_user_error("option --problem: "):
        done = trained.agent.run(options.problem, options.task, budget=options.budget)
    if options.save:
        write_text(Path(options.save), written_trace(done.trace))
    return {
        "task": done.trace.task,
        "problem": done.trace.problem,
        "answer": done.answer,
        "right": done.right,
        "ending": done.ending,
        "steps": len(done.trace.steps),
        "trace": done.lines,
        "drawn": done.drawn,
    }


def checked_trace(trained: TrainedCore, path: str) -> dict[str, Any]:
    """Whether the core takes each step of a trace.

    Raises:
        UserError: the file is no trace, or of a task that the core does not know.
    """
    with as_user_error("option --check: "):
        trace = read_trace(path)
        task = trained.agent.find(trace.task)
    if trace.base != trained.experiment.base:
        raise UserError(f"option --check: {path} is in base {trace.base}, and the core in {trained.experiment.base}")
    scene = TASKS.find(trace.task).scene(trace.base)
    first = None
    for frame in frames(scene.name, trace.steps):
        missing = [call.program for call in frame.calls if call and call.program not in trained.agent.core.programs]
        if missing:
            raise UserError(f"option --check: {path} calls {missing[0]}, which the core does not know")
        first = first or first_failure(trained.agent.core, scene, frame, trace.problem)
    return {
        "task": task.name,
        "problem": trace.problem,
        "check": path,
        "steps": len(trace.steps),
        "first": None if first is None else str(first),
    }


def describe(result: dict[str, Any]) -> None:
    """Print the result for people."""
    if "check" in result:
        verdict = "takes every one of them" if result["first"] is None else f"goes another way: {result['first']}"
        print(f"{result['check']} has {result['steps']} steps of {result['task']}: the core {verdict}")
        return
    if "trace" in result:
        print("\n".join([*result["trace"], "", *result["drawn"], ""]))
        verdict = "right" if result["answer"] == result["right"] else f"wrong, it is {result['right']}"
        print(f"{result['problem']} = {result['answer'] or 'nothing'} ({verdict}; {result['ending']})")
        return
    table = Table(title=f"{result['form']}, {result['checkpoint']}", title_justify="left", box=None, pad_edge=False)
    table.add_column("task", no_wrap=True)
    for column in ("length", "problems", "exact %", "95 %", "steps", "computed"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in result["rows"]:
        low, high = row["interval"]
        numbers = (f"{row['length']:,}", f"{row['samples']:,}", f"{row['accuracy']:.1f}")
        counts = (f"{row['steps']:,}", f"{row['computed']:,}")
        table.add_row(row["task"], *numbers, f"{low:.1f} to {high:.1f}", *counts)
    print_table(table)
    for row in result["rows"]:
        ended = [f"{count} {ending}" for ending, count in row["endings"].items() if ending != "returned"]
        if ended:
            print(f"{row['task']}, length {row['length']:,}: {', '.join(ended)} (of {row['samples']:,})")
    for task, found in result["verified"].items():
        print(f"{task}: {found['said']}")
    if result["form"] != "recursive":
        print("not verifiable: a program with a loop has no end of cases; --form recursive has")


def figure_of(result: Result) -> dict[str, Any]:
    """The share of the longest problems that are carried out rightly, of the last task."""
    row = result["rows"][-1]
    of = f"{row['samples']} problems of {row['task']}, {row['length']} {row['counted']}"
    return figure("accuracy %", row, key="accuracy", of=of, best=100.0)


EVALUATION = Evaluation(EvalOptions, evaluate_run, describe, figure=figure_of)
"""How programs are evaluated."""
