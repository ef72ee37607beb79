"""``lukasa eval`` of streams: what is left of each task, and what it took."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from rich.table import Table

from lukasa.agents.continual import StreamAgent, StreamTrainer, accuracies, scores_of
from lukasa.ground.mistakes import UserError
from lukasa.ground.statistics import wilson_interval
from lukasa.launch.kinds.continual.experiment import ContinualExperiment
from lukasa.launch.kinds.continual.job import method_in
from lukasa.launch.kinds.figures import Result, figure
from lukasa.launch.kinds.kind import Evaluation
from lukasa.launch.options.fields import Switch
from lukasa.launch.options.tables import print_table
from lukasa.launch.runs.checkpoints import Checkpoint, find_checkpoint, fitting, load_checkpoint
from lukasa.launch.runs.directory import Run
from lukasa.launch.training.by_batch import on_this_machine


@dataclass(frozen=True)
class EvalOptions:
    """Score a method on every task of its stream.

    Attributes:
        checkpoint: which checkpoint to score: best, which is the last, last, or its name.
        json: print one JSON object.
    """

    checkpoint: str = "best"
    json: Switch = False


def load_trained(run: Run, experiment: ContinualExperiment, which: str) -> tuple[StreamTrainer, Checkpoint]:
    """Rebuild what a run trained from its config and a checkpoint.

    Raises:
        UserError: there is no such checkpoint, or it is cut short.
    """
    experiment = on_this_machine(experiment)
    checkpoint = find_checkpoint(run.checkpoints, which)
    state = load_checkpoint(checkpoint)
    torch.set_num_threads(experiment.threads)
    with fitting(checkpoint):
        return method_in(state, experiment)[0], checkpoint


def load_agent(run: Run, experiment: ContinualExperiment, which: str) -> StreamAgent:
    """What answers examples of the tasks.

    Raises:
        UserError: there is no such checkpoint, or it is cut short.
    """
    lessons, _ = load_trained(run, experiment, which)
    return StreamAgent(lessons.method, lessons.stream)


def evaluate_run(run: Run, experiment: ContinualExperiment, options: EvalOptions) -> dict[str, Any]:
    """Score a run; the keys are those that ``lukasa eval --json`` prints.

    Raises:
        UserError: there is no checkpoint, or no task is over.
    """
    lessons, checkpoint = load_trained(run, experiment, options.checkpoint)
    if not lessons.matrix:
        raise UserError(f"run {run.path} has not come to the end of its first task: train it for longer")
    now, stream = accuracies(lessons.method, lessons.stream), lessons.stream
    rows = []
    for task, name in enumerate(stream.names):
        asked = int((stream.test[task].answers >= 0).sum())
        low, high = wilson_interval(now[task] / 100, asked)
        learned = lessons.matrix[task][task] if task < len(lessons.matrix) else None
        rows.append(
            {
                "task": task + 1,
                "title": name,
                "asked": asked,
                "score": now[task],
                "interval": (100 * low, 100 * high),
                "learned": learned,
            }
        )
    scores = asdict(scores_of(lessons.matrix, lessons.before))
    return {
        "run": str(run.path),
        "checkpoint": checkpoint.name,
        "method": experiment.method,
        "stream": experiment.subject_name,
        "source": stream.source,
        "unit": "accuracy %",
        "chance": stream.chance(experiment.task_known),
        "score": scores["average_accuracy"],
        **scores,
        "memory_bytes": lessons.method.bytes,
        "rows": rows,
        "matrix": lessons.matrix,
        "before": lessons.before,
    }


def describe(result: dict[str, Any]) -> None:
    """Print the result for people."""
    title = f"{result['method']} on {result['stream']} ({result['source']}), {result['checkpoint']}"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("task", no_wrap=True)
    for column in ("asked", "accuracy % now", "95 %", "when learned"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in result["rows"]:
        low, high = row["interval"]
        then = "-" if row["learned"] is None else f"{row['learned']:.1f}"
        interval = f"{low:.1f} to {high:.1f}"
        table.add_row(f"{row['task']:>2} {row['title']}", f"{row['asked']:,}", f"{row['score']:.1f}", interval, then)
    print_table(table)
    forward = result["forward_transfer"]
    print(f"average accuracy {result['average_accuracy']:.1f} % (a guess {result['chance']:.1f} %)")
    print(f"forgetting {result['forgetting']:.1f}, backward transfer {result['backward_transfer']:+.1f}", end="")
    print("" if forward is None else f", forward transfer {forward:+.1f}")
    print(f"kept for earlier tasks: {result['memory_bytes']:,} bytes")


def figure_of(result: Result) -> dict[str, Any]:
    """The mean accuracy on all tasks at the end of the stream."""
    of = f"{len(result['rows'])} tasks, {result['source']}"
    return figure("average accuracy %", {"score": result["score"]}, of=of, chance=result["chance"], best=100.0)


EVALUATION = Evaluation(EvalOptions, evaluate_run, describe, figure=figure_of)
"""How streams are evaluated."""
