"""``lukasa eval`` of a learner of episodes: its accuracy on new classes, and on the official one-shot runs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from rich.table import Table
from torch import Generator, Tensor

from lukasa.agents.few_shot import ClassAgent, Learner, NearestNeighbour, SequenceLearner, evaluate_episodes
from lukasa.ground.mistakes import UserError, as_user_error
from lukasa.launch.kinds.ablation import Part, named, parts_to_wipe, title_of, wiped
from lukasa.launch.kinds.few_shot.data import make_data, make_shots, new_part, part_of
from lukasa.launch.kinds.few_shot.experiment import FewShotExperiment
from lukasa.launch.kinds.few_shot.job import build_learner, side_by_side
from lukasa.launch.kinds.figures import Result, figure
from lukasa.launch.kinds.kind import Evaluation
from lukasa.launch.kinds.published import SHOTS
from lukasa.launch.options.bounds import check_least
from lukasa.launch.options.fields import Switch
from lukasa.launch.options.tables import print_table
from lukasa.launch.runs.checkpoints import Checkpoint, find_checkpoint, fitting, load_checkpoint, to_plain
from lukasa.launch.runs.directory import Run
from lukasa.launch.training.by_batch import on_this_machine
from lukasa.tasks import find_dataset
from lukasa.tasks.episodes import Shots
from lukasa.tasks.one_shot_runs import nearest_pixels, one_shot_error, read_one_shot_runs

SEED = 3


@dataclass(frozen=True)
class EvalOptions:
    """Score a trained learner of episodes on classes that it has not seen.

    Attributes:
        ways: classes of an episode, such as 5,20: a line for each; by default as trained.
        shots: support examples of each class, such as 1,5: a line for each; by default as trained.
        queries: queries of each class; by default as trained.
        episodes: number of episodes of each line.
        part: part of the data to test on; by default test, or evaluation after training on an official part of
            Omniglot.
        one_shot_runs: score the official 20 runs of Omniglot instead, out of this all_runs.zip or the folder it unpacks
            to.
        checkpoint: which checkpoint to score: best, last, or its name.
        seed: seed of the episodes.
        without: wipe a part of what the learner's core carries before every step: its memory, its controller, or both.
        ablation: score the learner intact, and with each part of its core wiped in turn.
        json: print one JSON object.
    """

    ways: str | None = None
    shots: str | None = None
    queries: int | None = None
    episodes: int = 1000
    part: str | None = None
    one_shot_runs: str | None = None
    checkpoint: str = "best"
    seed: int = SEED
    without: Part | None = None
    ablation: Switch = False
    json: Switch = False


@dataclass(frozen=True)
class TrainedLearner:
    """A trained learner out of a run directory, in evaluation mode."""

    experiment: FewShotExperiment
    checkpoint: Checkpoint
    learner: Learner


def evaluate_run(run: Run, experiment: FewShotExperiment, options: EvalOptions) -> dict[str, Any]:
    """Score a run on episodes; the keys are those that ``lukasa eval --json`` prints.

    Raises:
        UserError: an option cannot be used, or there is no checkpoint.
        tasks.DataError: the data is not available.
    """
    if options.one_shot_runs is not None:
        return score_one_shot_runs(run, experiment, options)
    check_least(options, queries=1, episodes=1)
    trained_ways, trained_shots = experiment.tested_on
    ways = read_numbers("--ways", options.ways, least=2) or [trained_ways]
    shots = read_numbers("--shots", options.shots) or [trained_shots]
    part = options.part or new_part(experiment)
    episodes = [make_shots(experiment, part, ways=n, shots=k, queries=options.queries) for n in ways for k in shots]
    trained = load_learner(run, experiment, options.checkpoint)
    data = episodes[0].examples.source
    print(f"{trained.checkpoint.path} on {data}", file=sys.stderr)
    rows = [
        {"without": what} | _row(one, played, part, options)
        for what, one in ablated(trained, options)
        for played in episodes
    ]
    return _described(run, trained, options) | {"part": part, "data": data, "rows": rows}


def score_one_shot_runs(run: Run, experiment: FewShotExperiment, options: EvalOptions) -> dict[str, Any]:
    """Score a run on the official one-shot runs; the keys are those that ``lukasa eval --json`` prints.

    Raises:
        UserError: an option cannot be used, there is no checkpoint, or the learner does not take 20 ways.
        tasks.DataError: the archive is not there, or broken.
    """
    changed = [one for one in ("ways", "shots", "queries", "part") if getattr(options, one) is not None]
    if changed:
        raise UserError(f"--one-shot-runs are what they are: leave --{changed[0]} out")
    shape = make_data(experiment).shape
    if len(shape) != 2 or shape[0] != shape[1]:
        raise UserError(f"--one-shot-runs are square drawings, and this learner takes examples of shape {list(shape)}")
    runs = read_one_shot_runs(str(options.one_shot_runs), size=shape[0])
    trained = load_learner(run, experiment, options.checkpoint)

    @torch.no_grad()
    def classify(training: Tensor, test: Tensor) -> Tensor:
        device = trained.experiment.device
        training, test = training.to(device), test.to(device)
        return trained.learner(training[None, :, None], test[None])[0].argmax(-1)

    with as_user_error():
        # One learner, wiped in turn: each is scored before the next part of it is wiped.
        errors = [{"without": part, "scored": one_shot_error(classify, runs)} for part, _ in ablated(trained, options)]
    (error, each), others = errors[0]["scored"], [(one["without"], one["scored"][0]) for one in errors]
    pixels, each_pixels = one_shot_error(nearest_pixels, runs)
    names = [one.name for one in runs]
    rows = [
        {"run": name, "error": one, "nearest_pixels": far}
        for name, one, far in zip(names, each, each_pixels, strict=True)
    ]
    result = _described(run, trained, options) | {"error": error, "nearest_pixels": pixels, "one_shot_runs": rows}
    return result | (
        {"ablation": [{"without": part, "error": one} for part, one in others]} if options.ablation else {}
    )


def ablated(trained: TrainedLearner, options: EvalOptions) -> Iterator[tuple[str | None, TrainedLearner]]:
    """The learner with each part of its core wiped that was asked for, one after the other, and which part that is.

    Raises:
        UserError: it has no core, or the core carries nothing in that part.
    """
    if options.without is None and not options.ablation:
        yield None, trained
        return
    if not isinstance(trained.learner, SequenceLearner):
        raise UserError(
            f"learner {trained.experiment.learner!r} carries nothing from example to example that could be wiped, it "
            "sees the whole support at once: --without and --ablation are for learner 'sequence', whose core reads it"
        )
    core = trained.learner.core
    for part in parts_to_wipe(core, options.without, options.ablation):
        trained.learner.core = wiped(core, part)
        yield part, trained
    trained.learner.core = core


def load_learner(run: Run, experiment: FewShotExperiment, which: str) -> TrainedLearner:
    """Rebuild the learner of a run from its config and a checkpoint.

    Raises:
        UserError: there is no such checkpoint, or it is cut short.
    """
    experiment = on_this_machine(experiment)
    checkpoint = find_checkpoint(run.checkpoints, which)
    state = to_plain(load_checkpoint(checkpoint))
    torch.set_num_threads(experiment.threads)
    learner = build_learner(experiment)
    with fitting(checkpoint):
        learner.load_state_dict(state["trainer"]["learner"])
    return TrainedLearner(experiment, checkpoint, learner.eval())


def load_class_agent(run: Run, experiment: FewShotExperiment, which: str) -> ClassAgent:
    """What names classes from a few examples of each, in any program.

    Raises:
        UserError: there is no such checkpoint, or it is cut short.
    """
    return ClassAgent(load_learner(run, experiment, which).learner)


def read_numbers(option: str, text: str | None, least: int = 1) -> list[int] | None:
    """Whole numbers out of the command line, None for None.

    Raises:
        UserError: one is no whole number, or too small.

    Example:
        >>> read_numbers("--ways", "5,20")
        [5, 20]
    """
    if text is None:
        return None
    words = [word.strip() for word in text.split(",")]
    for word in words:
        if not word.isdecimal() or int(word) < least:
            raise UserError(f"option {option} has {word!r}: expected whole numbers of at least {least}, such as 5,20")
    return [int(word) for word in words]


def published(experiment: FewShotExperiment, part: str, shots: Shots) -> dict[str, float]:
    """Percent right that papers report for this learner on these very episodes, by paper.

    Args:
        experiment: what learned.
        part: whose classes are named.
        shots: the episodes; what stands in for the data of a paper has another source.
    """
    benchmark = part_of(experiment, make_data(experiment), part).benchmark
    if not benchmark or not shots.examples.source.startswith(find_dataset(experiment.data).title):
        return {}
    learner = experiment.options.get("core") if experiment.learner == "sequence" else experiment.learner
    reported = SHOTS.get(benchmark, {}).get(str(learner), {}).items()
    return {
        paper: numbers[shots.ways, shots.shots] for paper, numbers in reported if (shots.ways, shots.shots) in numbers
    }


def _row(trained: TrainedLearner, shots: Shots, part: str, options: EvalOptions) -> dict[str, Any]:
    def scored(learner: Learner) -> Any:
        generator = Generator().manual_seed(options.seed)
        return evaluate_episodes(learner, shots, options.episodes, generator, batch_size=side_by_side(shots))

    with as_user_error():
        found = scored(trained.learner)
    return {
        "ways": shots.ways,
        "shots": shots.shots,
        "queries": shots.queries,
        "episodes": found.count,
        "accuracy": found.score,
        "interval": found.interval,
        "loss": found.loss,
        "nearest_pixels": scored(NearestNeighbour(trained.learner.shape)).score,
        "published": published(trained.experiment, part, shots),
    }


def _described(run: Run, trained: TrainedLearner, options: EvalOptions) -> dict[str, Any]:
    named_by = {"run": str(run.path), "checkpoint": trained.checkpoint.name, "learner": trained.experiment.learner}
    return named_by | {"without": options.without}


def _table(result: dict[str, Any]) -> Table:
    """The result for people."""
    title = f"{result['learner']}, {result['checkpoint']}{title_of(result['without'])}"
    if "one_shot_runs" in result:
        table = _empty_table(f"{title}: the official one-shot runs", "run", "errors %", "nearest pixels %")
        for row in result["one_shot_runs"]:
            table.add_row(row["run"], f"{row['error']:.1f}", f"{row['nearest_pixels']:.1f}")
        table.add_row("mean", f"{result['error']:.2f}", f"{result['nearest_pixels']:.2f}")
        for row in result.get("ablation", [])[1:]:
            table.add_row(f"mean{title_of(row['without'])}", f"{row['error']:.2f}")
        return table
    papers = list(dict.fromkeys(paper for row in result["rows"] for paper in row["published"]))
    columns = ("ways", "shots", "queries", "episodes", "accuracy %", "95 %\nconfidence", "nearest\npixels")
    distinct = len({row["without"] for row in result["rows"]}) > 1
    heads = (*["wiped"] * distinct, *columns, *(paper.replace("al. ", "al.\n") for paper in papers))
    table = _empty_table(f"{title}: {result['data']}", *heads)
    for row in result["rows"]:
        counts = [str(row[name]) for name in ("ways", "shots", "queries", "episodes")]
        reported = [f"{row['published'][paper]:g}" if paper in row["published"] else "-" for paper in papers]
        low, high = row["interval"]
        accuracy = [f"{row['accuracy']:.2f}", f"{low:.2f} to {high:.2f}", f"{row['nearest_pixels']:.2f}"]
        table.add_row(*[named(row["without"])] * distinct, *counts, *accuracy, *reported)
    return table


def _empty_table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def describe(result: dict[str, Any]) -> None:
    """Print the result for people."""
    print_table(_table(result))


def figure_of(result: Result) -> dict[str, Any]:
    """The accuracy on the kind of episodes that was trained on."""
    first, *others = result["rows"]
    shots = f"{first['shots']} shot{'s'[: first['shots'] > 1]}"
    of = f"{first['episodes']:,} episodes of {first['ways']} ways and {shots}, {result['data']}"
    wiped = {row["without"]: row for row in others if row["without"] is not None}
    return figure("accuracy %", first, key="accuracy", of=of, chance=100 / first["ways"], best=100.0, ablation=wiped)


EVALUATION = Evaluation(EvalOptions, evaluate_run, describe, figure=figure_of)
"""How learners of episodes are evaluated."""
