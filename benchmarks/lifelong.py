"""``lukasa bench lifelong``: all characters of Omniglot in one class memory, FAISS beside exact search."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from lukasa.agents.few_shot import Encoder, MatchingNetwork, PrototypicalNetwork, embed_all
from lukasa.benchmarks import lifelong_report
from lukasa.benchmarks.class_memories import INDEXES, Drawings, Queries, filled, filled_twice, many_like, race, tell
from lukasa.benchmarks.contestants import use_one_thread
from lukasa.benchmarks.fitting import available_bytes
from lukasa.ground.mistakes import UserError
from lukasa.ground.statistics import mean_interval
from lukasa.launch.kinds.few_shot.data import new_part
from lukasa.launch.kinds.few_shot.evaluation import load_learner, read_numbers
from lukasa.launch.kinds.few_shot.experiment import FewShotExperiment
from lukasa.launch.kinds.few_shot.recipes import FEW_SHOT
from lukasa.launch.options.bounds import check_least
from lukasa.launch.options.fields import Switch
from lukasa.launch.options.parsing import parse
from lukasa.launch.runs.directory import describe_run, open_run
from lukasa.tasks.omniglot import PARTS, load_omniglot, split_characters

Numbers = dict[str, Any]


@dataclass(frozen=True)
class LifelongOptions:
    """Learn all 1,623 characters of Omniglot from a few drawings each, and name the other drawings among all of them.

    Attributes:
        run: directory of a learner trained by `lukasa train few-shot omniglot_prototypical`, whose encoder is taken.
        checkpoint: which one of the run: best, last, or its name.
        shots: drawings that each character is learned from, such as 1,5,10.
        characters: how many, some of the new ones among them; all by default.
        stored: embeddings of the largest memory, each between those of two learned drawings of a character.
        timed: queries that are timed.
        at_once: queries of a batch.
        source: of the characters: real, generated, or auto; by default the run's.
        data_dir: folder to look for the files in first; by default the run's.
        seed: decides which drawings are learned.
        out: folder for lifelong.md and lifelong.json.
        quick: few characters and a small memory, to see that it works.
        json: print one JSON object.
    """

    run: str | None = None
    checkpoint: str = "best"
    shots: str = "1,5,10"
    characters: int = PARTS["all"]
    stored: int = 2**20
    timed: int = 200
    at_once: int = 100
    source: Literal["auto", "real", "generated"] | None = None
    data_dir: str | None = None
    seed: int = 0
    out: Path | None = None
    quick: Switch = False
    json: Switch = False


QUICK = LifelongOptions(characters=100, stored=2**12, timed=20)


def main(argv: Sequence[str]) -> int:
    """Measure, print and save."""
    options = parse(LifelongOptions, argv, prog="lukasa bench lifelong", default=QUICK if "--quick" in argv else None)
    shots = check(options)
    encoder, experiment = trained_encoder(options)
    use_one_thread()
    try:
        result = measure(options, shots, encoder, experiment)
    except ImportError as error:
        raise UserError(str(error)) from None
    if options.out is not None:
        for path in lifelong_report.save(result, options.out):
            tell(f"wrote {path}")
    print(json.dumps(result, allow_nan=False)) if options.json else lifelong_report.show(result)
    return 0


def check(options: LifelongOptions) -> list[int]:
    """The numbers of drawings that characters are learned from, ascending.

    Raises:
        UserError: an option cannot be used.
    """
    if options.run is None:
        raise UserError("--run is missing: give the folder of a `lukasa train few-shot omniglot_prototypical`")
    shots = sorted(set(read_numbers("--shots", options.shots) or []))
    if shots[-1] > 19:
        raise UserError(f"option --shots has {shots[-1]}: a character has 20 drawings, and one has to be left to name")
    check_least(options, characters=10, stored=1, timed=1, at_once=1, seed=0)
    if options.characters > PARTS["all"]:
        raise UserError(f"option --characters is {options.characters}: Omniglot has {PARTS['all']}")
    if options.out is not None and options.out.exists() and not options.out.is_dir():
        raise UserError(f"--out {options.out} is a file: choose a folder")
    return shots


def trained_encoder(options: LifelongOptions) -> tuple[Encoder, FewShotExperiment]:
    """The encoder of a run, and how it was trained.

    Raises:
        UserError: there is no such run, it compares no embeddings or knows all characters, or memory is short.
    """
    opened, config = open_run(Path(str(options.run)))
    if config["kind"] != FEW_SHOT.name:
        raise UserError(f"run {options.run} is no learner of shots: give one of `lukasa train few-shot`")
    experiment = FEW_SHOT.from_json(config["experiment"])
    if experiment.data != "omniglot":
        raise UserError(f"run {options.run} learned from data {experiment.data!r}: take one that learned from omniglot")
    learner = load_learner(opened, experiment, options.checkpoint).learner
    if not isinstance(learner, PrototypicalNetwork | MatchingNetwork):
        raise UserError(
            f"learner {experiment.learner!r} of {options.run} does not compare embeddings: take a run of 'prototypical'"
        )
    if set(split_characters(experiment.part)) & set(split_characters(new_part(experiment))):
        raise UserError(f"{options.run} was trained on part {experiment.part!r}: take a run that left characters out")
    # Both memories side by side, the lists of one beside its rows and grown by half, and what they are filled from.
    needed, free = 5 * options.stored * (4 * learner.encoder.size + 40), available_bytes()
    if needed > 0.9 * free:
        raise UserError(
            f"{options.stored:,} embeddings of {learner.encoder.size} numbers need about {needed / 2**30:,.1f} GiB and "
            f"{free / 2**30:,.1f} GiB are free: ask for less with --stored"
        )
    return learner.encoder.cpu(), experiment


def measure(options: LifelongOptions, shots: list[int], encoder: Encoder, experiment: FewShotExperiment) -> Numbers:
    """Everything; see ``lifelong_report`` for what the keys mean."""
    started = time.perf_counter()
    result: Numbers = describe_run("bench", None, {"subject": "lifelong"} | dataclasses.asdict(options) | {"out": None})
    tell("embedding all drawings")
    drawings = embedded_drawings(options, encoder, experiment)
    result |= {
        "learner": experiment.learner,
        "trained_on": experiment.part,
        "data": drawings.source,
        "characters": len(drawings.new),
        "new": int(drawings.new.sum()),
        "numbers": encoder.size,
        "embed_ms": drawings.embed_ms,
    }
    result["accuracy"] = [row for count in shots for row in accuracies(drawings, count)]
    result["times"] = times(options, drawings, shots[-1])
    result["seconds"] = time.perf_counter() - started
    return result


def embedded_drawings(options: LifelongOptions, encoder: Encoder, experiment: FewShotExperiment) -> Drawings:
    """The characters that are learned, the drawings of each in an order of its own.

    Raises:
        tasks.DataError: the data cannot be had.
    """
    source = options.source or experiment.source
    folder = experiment.data_dir if options.data_dir is None else options.data_dir
    everything = load_omniglot("all", experiment.size, source=source, data_dir=folder)
    generator = torch.Generator().manual_seed(options.seed)
    new = torch.zeros(everything.classes, dtype=torch.bool)
    new[torch.from_numpy(split_characters(new_part(experiment)))] = True
    chosen = torch.arange(everything.classes)
    if options.characters < everything.classes:
        shuffled = torch.randperm(everything.classes, generator=generator)
        # As many new ones in a hundred as among all.
        among = max(1, round(options.characters * float(new.double().mean())))
        known = options.characters - among
        chosen = torch.cat([shuffled[~new[shuffled]][:known], shuffled[new[shuffled]][:among]])
    order = torch.rand(len(chosen), everything.instances, generator=generator).argsort(1)
    shown = everything.values[chosen[:, None], order]
    begun = time.perf_counter()
    embeddings = torch.stack([embed_all(encoder, drawn / 255) for drawn in shown])
    embed_ms = 1e3 * (time.perf_counter() - begun) / shown.shape[:2].numel()
    return Drawings(everything.source, embeddings, new[chosen], embed_ms)


def accuracies(drawings: Drawings, shots: int) -> list[Numbers]:
    """How many drawings are named right after learning some of each character, with each index."""
    rows = []
    alone = Drawings(drawings.source, drawings.embeddings[drawings.new], drawings.new[drawings.new])
    for keep in ("means", "instances")[: 1 if shots == 1 else 2]:
        for index in INDEXES:
            tell(f"{len(drawings.new):,} characters from {shots} drawings, {keep}, {index}")
            stored, percent = scores(drawings, shots, keep, index)
            row: Numbers = {"shots": shots, "keep": keep, "index": index, "stored": stored}
            for what, some in (("all", percent), ("new", percent[drawings.new])):
                low, high = mean_interval(some.tolist())
                row |= {what: float(some.mean()), f"{what}_half_interval": (high - low) / 2}
            rows.append(row | {"new_alone": float(scores(alone, shots, keep, index)[1].mean())})
    return rows


def scores(drawings: Drawings, shots: int, keep: str, index: str) -> tuple[int, Tensor]:
    """How many embeddings a memory holds that learned some drawings, and percent right of each character's others."""
    memory = filled(*drawings.learned(shots), index, keep)
    queries, truth = drawings.others(shots)
    right = memory.answer(queries) == truth
    return memory.used, 100 * right.view(len(drawings.new), -1).double().mean(1)


def times(options: LifelongOptions, drawings: Drawings, shots: int) -> list[Numbers]:
    """Time queries of memories of three sizes: the means, all learned drawings, and very many like them."""
    learned, classes = drawings.learned(shots)
    others, truth = drawings.others(shots)
    picked = torch.randperm(len(others), generator=torch.Generator().manual_seed(options.seed))
    picked = picked[: max(options.timed, options.at_once)]
    queries = Queries(others[picked], truth[picked], min(options.timed, len(picked)), options.at_once)
    rows = race("means", filled_twice(learned, classes, "means"), queries)
    rows += race("drawings", filled_twice(learned, classes, "instances"), queries)
    many, of = many_like(drawings, shots, options.stored, options.seed)
    return rows + race("made of drawings", filled_twice(many, of, "instances"), queries)
