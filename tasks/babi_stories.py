"""Stories of our own in the format of bAbI tasks 1, 2, 3, 6, 15 and 16, where the real ones are not available.

They are simpler than the real ones: every question has exactly one answer, and task 16 never contradicts itself. After
each answer come the numbers of the sentences that it follows from, in the order of the real files: what says who is
meant, or who has or had the object, and then where they went, the last place first.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

PEOPLE = ("Mary", "John", "Daniel", "Sandra")
PLACES = ("bathroom", "bedroom", "garden", "hallway", "kitchen", "office")
OBJECTS = ("apple", "football", "milk")
MOVES = ("moved to", "went to", "journeyed to", "travelled to", "went back to")
TAKES = ("took", "got", "grabbed", "picked up")
DROPS = ("dropped", "left", "discarded", "put down")
FEARS = (("Wolves", "wolf"), ("Sheep", "sheep"), ("Mice", "mouse"), ("Cats", "cat"))
FEARFUL = ("Gertrude", "Winona", "Emily", "Jessica")
NAMES = ("Lily", "Bernhard", "Greg", "Julius", "Brian")
ANIMALS: tuple[str, ...] = ("swan", "lion", "rhino", "frog")
COLORS: tuple[str, ...] = ("white", "gray", "green", "yellow")

QUESTIONS = 5
"""Questions in one story of the tasks about places."""

FACTS = {1: 2, 2: 4, 3: 8, 6: 2}
"""Facts before each question of the tasks about places; more where the first question cannot be asked yet."""


class _Asked(NamedTuple):
    question: str
    answer: str
    evidence: list[int]  # numbers of sentences

    def line(self) -> str:
        return "\t".join((self.question, self.answer, " ".join(map(str, self.evidence))))


@dataclass
class _Carrying:
    """One time that an object was carried about."""

    evidence: int  # the sentence that says so: the taking, or, once it is over, the dropping


class _Stop(NamedTuple):
    """A place that an object has been in."""

    place: str
    carrying: _Carrying  # the one that brought it there; of the first place the one that took it away
    moves: tuple[int, int]  # the sentences with which whoever carried it came to the place, and to the one before


class _World:
    """Who is where and has what, and what has happened so far."""

    def __init__(self, random: Random):
        self.random = random
        self.people: dict[str, str] = {}
        self.moves: dict[str, tuple[int, int]] = {}  # the sentences with each one's last move, and the one before it
        self.holder: dict[str, str] = {}
        self.carrying: dict[str, _Carrying] = {}  # of each object, the last
        self.arrival: dict[str, int] = {}  # the sentence with which each object's last carrier came to where it is
        self.trail: dict[str, list[_Stop]] = {}

    def act(self, number: int, with_objects: bool) -> str:
        """Let something happen, and tell it in the sentence of this number."""
        person = self.random.choice(PEOPLE)
        has = [item for item, who in self.holder.items() if who == person]
        here = self.people.get(person)
        free = [item for item in OBJECTS if item not in self.holder and self._place(item) in (None, here)]
        turn = self.random.random()
        if with_objects and here and free and turn < 0.3:
            item = self.random.choice(free)
            self.holder[item] = person
            self.carrying[item] = _Carrying(number)
            self._note(item, person)
            return f"{person} {self.random.choice(TAKES)} the {item}."
        if with_objects and has and turn > 0.85:
            item = self.random.choice(has)
            del self.holder[item]
            self.carrying[item].evidence = number
            return f"{person} {self.random.choice(DROPS)} the {item}."
        place = self.random.choice([place for place in PLACES if place != here])
        self.people[person] = place
        self.moves[person] = (number, self.moves.get(person, (0, 0))[0])
        for item in has:
            self._note(item, person)
        return f"{person} {self.random.choice(MOVES)} the {place}."

    def _place(self, item: str) -> str | None:
        return self.trail[item][-1].place if item in self.trail else None

    def _note(self, item: str, person: str) -> None:
        """An object is where the one who carries it is."""
        self.arrival[item] = self.moves[person][0]
        if self._place(item) != (place := self.people[person]):
            self.trail.setdefault(item, []).append(_Stop(place, self.carrying[item], self.moves[person]))

    def ask(self, task: int) -> _Asked | None:
        """A question, its answer and its evidence, or None where nothing can be asked yet."""
        choose = self.random.choice
        if task == 2:
            if not self.trail:
                return None
            item = choose(sorted(self.trail))
            evidence = [self.carrying[item].evidence, self.arrival[item]]
            return _Asked(f"Where is the {item}?", self.trail[item][-1].place, evidence)
        if task == 3:
            # Where an object was in a place more than once, the last time is meant.
            asked = [
                (item, stop, before)
                for item, trail in sorted(self.trail.items())
                for index, (before, stop) in enumerate(itertools.pairwise(trail), 1)
                if stop.place not in [later.place for later in trail[index + 1 :]]
            ]
            if not asked:
                return None
            item, stop, before = choose(asked)
            question = f"Where was the {item} before the {stop.place}?"
            return _Asked(question, before.place, [stop.carrying.evidence, *stop.moves])
        person = choose(sorted(self.people))
        place, evidence = self.people[person], [self.moves[person][0]]
        if task == 1:
            return _Asked(f"Where is {person}?", place, evidence)
        if self.random.random() < 0.5:
            return _Asked(f"Is {person} in the {place}?", "yes", evidence)
        other = choose([other for other in PLACES if other != place])
        return _Asked(f"Is {person} in the {other}?", "no", evidence)


def _tell_places(task: int, facts: int, random: Random) -> list[str]:
    world = _World(random)
    lines: list[str] = []
    for _ in range(QUESTIONS):
        for _ in range(facts):
            lines.append(world.act(len(lines) + 1, task != 1))
        while (asked := world.ask(task)) is None:
            lines.append(world.act(len(lines) + 1, task != 1))
        lines.append(asked.line())
    return lines


def _tell_fears(random: Random) -> list[str]:
    feared = {many: random.choice([other for other in FEARS if other[0] != many]) for many, _ in FEARS}
    kinds = {name: random.choice(FEARS) for name in FEARFUL}
    lines = [f"{many} are afraid of {feared[many][0].lower()}." for many, _ in FEARS]
    lines += [f"{name} is a {kind[1]}." for name, kind in kinds.items()]
    random.shuffle(lines)
    for name in random.sample(FEARFUL, len(FEARFUL)):
        many, one = kinds[name]
        told = (f"{name} is a {one}.", f"{many} are afraid of {feared[many][0].lower()}.")
        evidence = [lines.index(line) + 1 for line in told]
        lines.append(_Asked(f"What is {name.lower()} afraid of?", feared[many][1], evidence).line())
    return lines


def _tell_colors(random: Random) -> list[str]:
    names = random.sample(NAMES, len(NAMES))
    color = dict(zip(ANIMALS, random.sample(COLORS, len(ANIMALS)), strict=True))
    kinds = {name: random.choice(ANIMALS) for name in names}
    kinds[names[0]] = kinds[names[1]]  # somebody is like the one asked about
    lines = [f"{name} is a {kind}." for name, kind in kinds.items()]
    lines += [f"{name} is {color[kinds[name]]}." for name in names[1:]]
    random.shuffle(lines)
    kind = kinds[names[0]]
    alike = [name for name in names[1:] if kinds[name] == kind]
    last = max(alike, key=lambda name: lines.index(f"{name} is a {kind}."))  # as in the real files
    told = (f"{names[0]} is a {kind}.", f"{last} is a {kind}.", f"{last} is {color[kind]}.")
    asked = _Asked(f"What color is {names[0]}?", color[kind], [lines.index(line) + 1 for line in told])
    return [*lines, asked.line()]


def _places(task: int) -> Callable[[Random, int], list[str]]:
    return lambda random, scale: _tell_places(task, FACTS[task] * scale, random)


TELLERS: dict[int, Callable[[Random, int], list[str]]] = {
    **{task: _places(task) for task in FACTS},
    15: lambda random, scale: _tell_fears(random),
    16: lambda random, scale: _tell_colors(random),
}
"""Who tells a story of each task: from random numbers, and how many times longer than usual."""


def tell(task: int, stories: int, seed: str, scale: int = 1) -> str:
    """Stories as text, in the format of the bAbI files.

    Args:
        task: a key of ``TELLERS``.
        stories: how many.
        seed: decides all of them.
        scale: how many times more facts there are before a question than usual; tasks 15 and 16 know only 1.
    """
    random = Random(seed)
    told = [TELLERS[task](random, scale) for _ in range(stories)]
    return "".join(f"{number} {line}\n" for lines in told for number, line in enumerate(lines, 1))
