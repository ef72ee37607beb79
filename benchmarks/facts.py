"""``lukasa bench facts``: questions about up to a million facts, found by FAISS, by exact search and by key hashing."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lukasa.benchmarks.class_memories import tell
from lukasa.benchmarks.contestants import use_one_thread
from lukasa.ground.files import write_text
from lukasa.ground.mistakes import UserError
from lukasa.launch.options.bounds import check_least
from lukasa.launch.options.fields import Switch
from lukasa.launch.options.parsing import parse
from lukasa.memory.readers import FactMemory, FactReader, FactReading, KeyValueMemoryNetwork, Sizes
from lukasa.memory.readers.fact_reader import right_among, start_with_rare_words
from lukasa.tasks.questions import QuestionSet
from lukasa.tasks.questions.films import FilmQuestions

Numbers = dict[str, Any]
Finder = Callable[[Tensor], "Tensor | None"]  # from places of questions to places of facts; None: the index decides

LEARNING_RATES = {1: 0.5, 2: 0.3}
"""By hops."""

BATCH = 32
BEAM = 8
"""Facts of the first hop that the second one goes on from."""


@dataclass(frozen=True)
class FactsOptions:
    """Train a key-value memory network on facts that a FAISS index finds, and answer questions from 10^3 to 10^6 facts.

    Attributes:
        facts: sizes of the world, such as 1000,1000000.
        hops: 1 for questions that one fact answers, 2 for those that take two.
        questions: training questions; a tenth as many are asked in the end.
        steps: batches of training, of 32 questions.
        every: batches after which all keys are encoded again and the index is built anew.
        read: facts that a hop reads.
        size: numbers of an embedding.
        probes: lists that FAISS looks into for each question.
        timed: questions that are timed one by one.
        seed: decides about the world, the questions and the training.
        out: file for the numbers as JSON.
        quick: a thousand facts and a few steps, to see that it works.
        json: print one JSON object.
    """

    facts: str = "1000,10000,100000,1000000"
    hops: int = 1
    questions: int = 5000
    steps: int = 300
    every: int = 150
    read: int = 64
    size: int = 128
    probes: int = 64
    timed: int = 100
    seed: int = 0
    out: Path | None = None
    quick: Switch = False
    json: Switch = False


QUICK = FactsOptions(facts="1000", questions=400, steps=20, every=10, timed=10)


def main(argv: Sequence[str]) -> int:
    """Measure, print and save."""
    options = parse(FactsOptions, argv, prog="lukasa bench facts", default=QUICK if "--quick" in argv else None)
    sizes = check(options)
    use_one_thread()
    try:
        rows = [measure(options, facts) for facts in sizes]
    except ImportError as error:
        raise UserError(str(error)) from None
    if options.out is not None:
        write_text(options.out, json.dumps(rows, indent=1) + "\n")
    print(json.dumps(rows) if options.json else "\n".join(table(rows)))
    return 0


def check(options: FactsOptions) -> list[int]:
    """The sizes of the world.

    Raises:
        UserError: an option cannot be used.
    """
    try:
        sizes = [int(one) for one in options.facts.split(",")]
    except ValueError:
        raise UserError(f"option --facts is {options.facts!r}: expected whole numbers such as 1000,1000000") from None
    if min(sizes) < 100:
        raise UserError(f"option --facts is {min(sizes)}: expected at least 100")
    check_least(options, questions=10, read=8, steps=1, every=1, size=1, probes=1, timed=1)
    if options.hops not in (1, 2):
        raise UserError(f"option --hops is {options.hops}: expected 1 or 2")
    if options.read % BEAM:
        raise UserError(f"option --read is {options.read}: expected a multiple of {BEAM}")
    return sizes


def measure(options: FactsOptions, facts: int) -> Numbers:
    """Train and ask in one world."""
    started = time.perf_counter()
    data = FilmQuestions(facts=facts, questions=options.questions, seed=options.seed)
    train, test = (data.load(part, [options.hops]) for part in ("train", "test"))
    row: Numbers = {"facts": len(train.lines), "things": len(train.vocabulary.answers), "asked": len(test)}
    row["world_seconds"] = time.perf_counter() - started
    tell(f"{row['facts']:,} facts, {len(train):,} questions to learn from, {len(test)} to answer")
    torch.manual_seed(options.seed)
    reader = new_reader(train, options)
    first = len(train.vocabulary.words) - len(train.vocabulary.answers)
    row["before"] = share_right(reader, test, first, lambda _: None)["hits"]
    row |= training(reader, train, first, options)
    exact = FactMemory(train.lines, options.size, index="exact")
    exact.encode(reader.network.embedding.detach())
    found_exactly = FactReader(reader.network, exact, facts=options.read, beam=BEAM, weighted=True)
    ways: dict[str, tuple[FactReader, Finder]] = {
        "faiss": (reader, lambda _: None),
        "exact": (found_exactly, lambda _: None),
        "hashing": (reader, lambda rows: hashed(test, rows)),
    }
    for name, (one, find) in ways.items():
        if name == "hashing" and options.hops > 1:
            continue  # it reads the facts of one hop
        row[name] = share_right(one, test, first, find) | times(one, test, options.timed, find)
        tell(f"  {name}: hits@1 {row[name]['hits']:.1f} %, {row[name]['ms']:.2f} ms a question")
    row["exact"]["step_ms"] = step_ms(found_exactly, train, first, options.seed)
    return row


def new_reader(some: QuestionSet, options: FactsOptions) -> FactReader:
    """An untrained network over all facts, and its index."""
    sizes = Sizes(len(some.vocabulary.words), 1, 1, some.longest)
    network = KeyValueMemoryNetwork(sizes, size=options.size, hops=options.hops, tied=True)
    memory = FactMemory(some.lines, options.size, index="faiss", probes=options.probes)
    start_with_rare_words(network, memory)
    memory.encode(network.embedding.detach())
    return FactReader(network, memory, facts=options.read, beam=BEAM, weighted=True)


def asked(some: QuestionSet, rows: Tensor, first: int) -> tuple[Tensor, Tensor]:
    """Questions, and the words of their answers."""
    taken = some.take(rows)
    return taken.question, torch.where(taken.answers < 0, -1, taken.answers + first)


def training(reader: FactReader, some: QuestionSet, first: int, options: FactsOptions) -> Numbers:
    """Learn; how long it took in all, of which how long in indexing, and a step's median time."""
    generator = torch.Generator().manual_seed(options.seed)
    optimizer = torch.optim.SGD(reader.parameters(), LEARNING_RATES[options.hops])
    took, indexing, started = [], 0.0, time.perf_counter()
    for step in range(1, options.steps + 1):
        begin = time.perf_counter()
        learn(reader, optimizer, *asked(some, torch.randint(len(some), (BATCH,), generator=generator), first))
        took.append(time.perf_counter() - begin)
        if step % options.every == 0 or step == options.steps:
            begin = time.perf_counter()
            reader.memory.encode(reader.network.embedding.detach())
            indexing += time.perf_counter() - begin
    return {
        "train_seconds": time.perf_counter() - started,
        "index_seconds": indexing,
        "step_ms": 1000 * statistics.median(took),
    }


def learn(reader: FactReader, optimizer: torch.optim.Optimizer, question: Tensor, answers: Tensor) -> None:
    """One step of gradient descent."""
    losses, _ = reader.losses(question, answers)
    optimizer.zero_grad()
    losses.mean().backward()
    optimizer.step()


def step_ms(reader: FactReader, some: QuestionSet, first: int, seed: int) -> float:
    """Median time of a few steps that change nothing."""
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.SGD(reader.parameters(), 0.0)
    took = []
    for _ in range(10):
        begin = time.perf_counter()
        learn(reader, optimizer, *asked(some, torch.randint(len(some), (BATCH,), generator=generator), first))
        took.append(time.perf_counter() - begin)
    return 1000 * statistics.median(took)


def hashed(some: QuestionSet, rows: Tensor) -> Tensor:
    """The facts [B, S] that key hashing finds for questions, -1 after."""
    counts = some.counts[rows]
    steps = torch.arange(int(counts.max()))
    places = some.order[(some.begins[rows, None] + steps).clamp(max=len(some.order) - 1)]
    return places.masked_fill(steps >= counts[:, None], -1)


@torch.no_grad()
def share_right(reader: FactReader, some: QuestionSet, first: int, find: Finder) -> Numbers:
    """Percent of the questions answered right, and of those that read a right answer."""
    hits = read = 0
    for rows in torch.arange(len(some)).split(BATCH):
        question, answers = asked(some, rows, first)
        reading: FactReading = reader(question, find(rows))
        right = right_among(reading.answers, answers)
        hits += int(right.gather(1, reading.scores.argmax(1, keepdim=True)).sum())
        read += int(right.any(1).sum())
    return {"hits": 100 * hits / len(some), "read": 100 * read / len(some)}


@torch.no_grad()
def times(reader: FactReader, some: QuestionSet, count: int, find: Finder) -> Numbers:
    """Median and lowest milliseconds of one question at a time, and of one in a batch of 32."""
    took = []
    for number in range(min(count, len(some)) + 3):
        rows = torch.tensor([number % len(some)])
        question = some.take(rows).question
        begin = time.perf_counter()
        reader(question, find(rows))
        took.append(1000 * (time.perf_counter() - begin))
    took = took[3:]
    rows = torch.arange(len(some))[:BATCH]
    question, batches = some.take(rows).question, []
    for _ in range(5):
        begin = time.perf_counter()
        reader(question, find(rows))
        batches.append(1000 * (time.perf_counter() - begin) / len(rows))
    return {"ms": statistics.median(took), "low": min(took), "batch_ms": statistics.median(batches)}


def table(rows: list[Numbers]) -> list[str]:
    """The numbers as a page."""
    lines = [
        "| facts | found by | hits@1 % | right answer read % | ms a question | in a batch of 32 | ms a training step |",
        "|--:|---|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        for name, title in (("faiss", "FAISS"), ("exact", "exact search"), ("hashing", "key hashing")):
            if name not in row:
                continue
            one = row[name]
            step = {"faiss": f"{row['step_ms']:.0f}", "exact": f"{row['exact']['step_ms']:.0f}"}.get(name, "")
            took = f"{one['ms']:.2f} ({one['low']:.2f}) | {one['batch_ms']:.2f}"
            lines.append(f"| {row['facts']:,} | {title} | {one['hits']:.1f} | {one['read']:.1f} | {took} | {step} |")
    lines += ["", "| facts | things | before training, hits@1 % | world s | training s | of which indexing s |",
              "|--:|--:|--:|--:|--:|--:|"]  # fmt: skip
    lines += [
        f"| {row['facts']:,} | {row['things']:,} | {row['before']:.1f} | {row['world_seconds']:.1f} | "
        f"{row['train_seconds']:.1f} | {row['index_seconds']:.1f} |"
        for row in rows
    ]
    return lines
