"""The workbench's memory by loops over rows, slots and numbers, written from what its options are said to do."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

Vector = list[float]


@dataclass
class Slot:
    """One word; its age is None where nothing was written."""

    word: Vector
    strength: float = 0.0
    age: int | None = None


@dataclass
class Bench:
    """The memory of one row."""

    options: dict[str, Any]
    slots: list[Slot]
    short: int
    displaced: int = 0
    links: list[Vector] = field(default_factory=list)
    in_mind: Vector = field(default_factory=list)


def new(options: dict[str, Any]) -> Bench:
    """Nothing was written."""
    count = options["slots"] + (options["long_slots"] if options["organisation"] == "two_levels" else 0)
    slots = [Slot([0.0] * options["word_size"]) for _ in range(count)]
    return Bench(options, slots, options["slots"], 0, [[0.0] * count for _ in range(count)], [0.0] * count)


def squashed(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def cosine(a: Vector, b: Vector) -> float:
    lengths = [math.sqrt(sum(x * x for x in vector) + 1e-6) for vector in (a, b)]
    return sum(x * y for x, y in zip(a, b, strict=True)) / (lengths[0] * lengths[1])


def share(scores: list[float | None], kind: str, top: int) -> Vector:
    """Weights of the slots; None is a slot that cannot be read."""
    known = [score for score in scores if score is not None]
    if not known:
        return [0.0] * len(scores)
    highest = max(known)
    if kind in ("straight_through", "gumbel", "reinforce"):
        first = scores.index(highest)
        return [float(n == first) for n in range(len(scores))]
    if kind == "sparsemax":
        low, high = highest - 1, highest
        for _ in range(200):
            middle = (low + high) / 2
            if sum(max(0.0, score - middle) for score in known) > 1:
                low = middle
            else:
                high = middle
        return [0.0 if score is None else max(0.0, score - low) for score in scores]
    if kind == "top_k":
        border = sorted(known, reverse=True)[min(top, len(known)) - 1]
        scores = [None if score is None or score < border else score for score in scores]
    powers = [0.0 if score is None else math.exp(score - highest) for score in scores]
    return [power / sum(powers) for power in powers]


def scored(bench: Bench, key: Vector, strength: float, time: tuple[float, float] | None = None) -> list[float | None]:
    """Of every slot; None of one too faint."""
    found: list[float | None] = []
    for slot in bench.slots:
        if slot.strength <= 1e-6:
            found.append(None)
            continue
        score = strength * cosine(key, slot.word) + math.log(slot.strength)
        if time is not None:
            assert slot.age is not None
            score -= time[1] * (math.log(1 + slot.age) - time[0]) ** 2
        found.append(score)
    return found


def parts(options: dict[str, Any], emitted: Vector) -> dict[str, Any]:
    """What one row of the interface says."""
    rest, word, heads = list(emitted), options["word_size"], options["read_heads"]

    def take(count: int) -> Vector:
        taken = rest[:count]
        del rest[:count]
        return taken

    told: dict[str, Any] = {"keys": [take(word) for _ in range(heads)]}
    told["strengths"] = [1 + softplus(x) for x in take(heads)]
    told["word"], told["gate"] = take(word), squashed(take(1)[0])
    for name, asked in (("seek", options["writing"] == "gated"), ("drop", options["forgetting"] == "learned")):
        if asked:
            told[name] = (take(word), 1 + softplus(take(1)[0]), squashed(take(1)[0]))
    told["times"] = [None] * heads
    if options["organisation"] == "by_time":
        wanted, precise = take(heads), take(heads)
        told["times"] = [(softplus(a), softplus(b)) for a, b in zip(wanted, precise, strict=True)]
    if options["organisation"] == "graph":
        told["modes"] = [share(list(take(3)), "soft", 0) for _ in range(heads)]
    assert not rest
    return told


def step(bench: Bench, emitted: Vector) -> list[Vector]:
    """Forget, write, read: what every head reads."""
    options, told = bench.options, parts(bench.options, emitted)
    for slot in bench.slots:
        slot.age = None if slot.age is None else slot.age + 1
    written, strength = _place(bench, told)
    if options["organisation"] == "two_levels":
        _displace(bench, written.index(1.0))
    _forget(bench, told, sum(written) * strength)
    for slot, part in zip(bench.slots, written, strict=True):
        slot.word = [(1 - part) * old + part * new for old, new in zip(slot.word, told["word"], strict=True)]
        slot.strength = (1 - part) * slot.strength + part * strength
        slot.age = 0 if part > 0.5 or (slot.age is None and part > 0) else slot.age
    if options["organisation"] == "graph":
        _link(bench, written)
    weights = []
    for head, key in enumerate(told["keys"]):
        scores = scored(bench, key, told["strengths"][head], told["times"][head])
        found = share(scores, options["addressing"], options["top"])
        weights.append(_follow(bench, found, told["modes"][head]) if options["organisation"] == "graph" else found)
    reads = []
    for row in weights:
        strengths = [weight * slot.strength for weight, slot in zip(row, bench.slots, strict=True)]
        words = [slot.word for slot in bench.slots]
        reads.append(
            [sum(a * w[i] for a, w in zip(strengths, words, strict=True)) for i in range(options["word_size"])]
        )
    mean = [sum(column) / len(weights) for column in zip(*weights, strict=True)]
    bench.in_mind = [(a + b) / 2 for a, b in zip(mean, written, strict=True)]
    return reads


def _place(bench: Bench, told: dict[str, Any]) -> tuple[Vector, float]:
    """How much of every slot is replaced, and how strong the word is there."""
    kind, short, nothing = bench.options["writing"], bench.slots[: bench.short], [0.0] * len(bench.slots)
    oldest = max(range(bench.short), key=lambda n: (math.inf if short[n].age is None else short[n].age, -n))
    one = [float(n == oldest) for n in range(len(bench.slots))]
    if kind == "append":
        return (one if short[oldest].age is None else nothing), told["gate"]
    if kind == "most_similar":
        stored = [slot.word for slot in short if slot.age is not None]
        mean = [sum(column) / (1 + len(stored)) for column in zip(told["word"], *stored, strict=True)]

        def apart(word: Vector) -> Vector:
            return [x - y for x, y in zip(word, mean, strict=True)]

        word = apart(told["word"])
        alike = [(cosine(word, apart(slot.word)), -n) for n, slot in enumerate(short) if slot.age is not None]
        if alike and max(alike)[0] >= bench.options["similarity"]:
            return [float(n == -max(alike)[1]) for n in range(len(bench.slots))], told["gate"]
    if kind == "gated":
        key, strength, blend = told["seek"]
        found = share(scored(bench, key, strength), "soft", 0)
        return [told["gate"] * (blend * a + (1 - blend) * b) for a, b in zip(one, found, strict=True)], 1.0
    return one, told["gate"]


def _displace(bench: Bench, slot: int) -> None:
    old, ratio = bench.slots[slot], bench.options["compression"]
    if old.age is None:
        return
    long = bench.slots[bench.short :]
    here, number = long[bench.displaced // ratio % len(long)], bench.displaced % ratio
    here.word = [(number * a + b) / (number + 1) for a, b in zip(here.word, old.word, strict=True)]
    here.strength = (number * here.strength + old.strength) / (number + 1)
    here.age = old.age
    bench.displaced += 1


def _forget(bench: Bench, told: dict[str, Any], written: float) -> None:
    kind, options = bench.options["forgetting"], bench.options
    found = share(scored(bench, *told["drop"][:2]), "soft", 0) if kind == "learned" else []
    for n, slot in enumerate(bench.slots):
        if kind == "decay":
            slot.strength *= 2 ** (-1 / options["half_life"])
        if kind == "interference":
            slot.strength *= 1 - written / options["capacity"]
        if kind == "learned":
            slot.strength *= 1 - told["drop"][2] * found[n]


def _link(bench: Bench, written: Vector) -> None:
    for i, a in enumerate(written):
        for j, b in enumerate(written):
            bench.links[i][j] = (1 - a) * (1 - b) * bench.links[i][j] + bench.in_mind[i] * b


def _follow(bench: Bench, weights: Vector, modes: Vector) -> Vector:
    count, links = len(weights), bench.links
    leaving = [max(1.0, sum(links[i])) for i in range(count)]
    arriving = [max(1.0, sum(links[i][j] for i in range(count))) for j in range(count)]
    return [
        modes[0] * weights[n]
        + modes[1] * sum(weights[i] * links[i][n] / leaving[i] for i in range(count))
        + modes[2] * sum(weights[i] * links[n][i] / arriving[i] for i in range(count))
        for n in range(count)
    ]
