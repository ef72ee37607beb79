"""Stories of our own in the format of bAbI tasks 1, 2, 3, 6, 15 and 16, where the real ones are not available.

They are simpler than the real ones: every question has exactly one answer, and task 16 never contradicts itself.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

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


class _World:
    """Who is where and has what, and what has happened so far."""

    def __init__(self, random: Random):
        self.random = random
        self.people: dict[str, str] = {}
        self.holder: dict[str, str] = {}
        self.trail: dict[str, list[str]] = {}  # the places each object has been in

    def act(self, with_objects: bool) -> str:
        """Let something happen, and tell it."""
        person = self.random.choice(PEOPLE)
        has = [item for item, who in self.holder.items() if who == person]
        here = self.people.get(person)
        free = [item for item in OBJECTS if item not in self.holder and self._place(item) in (None, here)]
        turn = self.random.random()
        if with_objects and here and free and turn < 0.3:
            item = self.random.choice(free)
            self.holder[item] = person
            self._note(item, here)
            return f"{person} {self.random.choice(TAKES)} the {item}."
        if with_objects and has and turn > 0.85:
            item = self.random.choice(has)
            del self.holder[item]
            return f"{person} {self.random.choice(DROPS)} the {item}."
        place = self.random.choice([place for place in PLACES if place != here])
        self.people[person] = place
        for item in has:
            self._note(item, place)
        return f"{person} {self.random.choice(MOVES)} the {place}."

    def _place(self, item: str) -> str | None:
        return self.trail[item][-1] if item in self.trail else None

    def _note(self, item: str, place: str) -> None:
        trail = self.trail.setdefault(item, [])
        if trail[-1:] != [place]:
            trail.append(place)

    def ask(self, task: int) -> tuple[str, str] | None:
        """A question and its answer, or None where nothing can be asked yet."""
        choose = self.random.choice
        if task == 2:
            if not self.trail:
                return None
            item = choose(sorted(self.trail))
            return f"Where is the {item}?", self.trail[item][-1]
        if task == 3:
            # Where an object was in a place more than once, the last time is meant.
            asked = [
                (item, trail[index], trail[index - 1])
                for item, trail in sorted(self.trail.items())
                for index in range(1, len(trail))
                if trail[index] not in trail[index + 1 :]
            ]
            if not asked:
                return None
            item, place, before = choose(asked)
            return f"Where was the {item} before the {place}?", before
        person = choose(sorted(self.people))
        place = self.people[person]
        if task == 1:
            return f"Where is {person}?", place
        if self.random.random() < 0.5:
            return f"Is {person} in the {place}?", "yes"
        return f"Is {person} in the {choose([other for other in PLACES if other != place])}?", "no"


def _tell_places(task: int, facts: int, random: Random) -> list[str]:
    world = _World(random)
    lines: list[str] = []
    for _ in range(QUESTIONS):
        lines.extend(world.act(task != 1) for _ in range(facts))
        while (asked := world.ask(task)) is None:
            lines.append(world.act(task != 1))
        lines.append("\t".join((*asked, "0")))
    return lines


def _tell_fears(random: Random) -> list[str]:
    feared = {many: random.choice([other for other in FEARS if other[0] != many]) for many, _ in FEARS}
    kinds = {name: random.choice(FEARS) for name in FEARFUL}
    lines = [f"{many} are afraid of {feared[many][0].lower()}." for many, _ in FEARS]
    lines += [f"{name} is a {kind[1]}." for name, kind in kinds.items()]
    random.shuffle(lines)
    asked = random.sample(FEARFUL, len(FEARFUL))
    return lines + [f"What is {name.lower()} afraid of?\t{feared[kinds[name][0]][1]}\t0" for name in asked]


def _tell_colors(random: Random) -> list[str]:
    names = random.sample(NAMES, len(NAMES))
    color = dict(zip(ANIMALS, random.sample(COLORS, len(ANIMALS)), strict=True))
    kinds = {name: random.choice(ANIMALS) for name in names}
    kinds[names[0]] = kinds[names[1]]  # somebody is like the one asked about
    lines = [f"{name} is a {kind}." for name, kind in kinds.items()]
    lines += [f"{name} is {color[kinds[name]]}." for name in names[1:]]
    random.shuffle(lines)
    return [*lines, f"What color is {names[0]}?\t{color[kinds[names[0]]]}\t0"]


def _places(task: int) -> Callable[[Random, int], list[str]]:
    return lambda random, scale: _tell_places(task, FACTS[task] * scale, random)


TELLERS: dict[int, Callable[[Random, int], list[str]]] = {
    **{task: _places(task) for task in FACTS},
    15: lambda random, scale: _tell_fears(random),
    16: lambda random, scale: _tell_colors(random),
}
"""Who tells a story of each task: from random numbers, and how many times longer than usual."""


def tell(task: int, stories: int, seed: str, scale: int = 1) -> str:
    """Stories as text, in the format of the bAbI files (but without evidence).

    Args:
        task: a key of ``TELLERS``.
        stories: how many.
        seed: decides all of them.
        scale: how many times more facts there are before a question than usual; tasks 15 and 16 know only 1.
    """
    random = Random(seed)
    told = [TELLERS[task](random, scale) for _ in range(stories)]
    return "".join(f"{number} {line}\n" for lines in told for number, line in enumerate(lines, 1))
