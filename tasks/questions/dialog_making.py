"""Made-up dialogs of the five tasks of Bordes et al. 2017, section 3.1, in the published format.

A user with a request in mind, who says things in several ways, talks to a bot that goes by rules: it asks for what an
API call needs, in the order cuisine, location, people, price, calls, and proposes what is found, the best first.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from random import Random

from lukasa.tasks.questions.dialog_phrases import BOT, SILENCE, USER, words_of
from lukasa.tasks.questions.dialog_restaurants import (
    FIELDS,
    Request,
    Restaurant,
    draw_request,
    found_by,
    possible,
    restaurants,
)

PARTS = ("train", "validation", "test", "test_oov")

ACCEPTED = 0.25
"""How probable it is that a user accepts an option that is not the last one."""

LEAST_OPTIONS = {3: 3, 5: 1}
"""What an API call must find at least in the tasks that propose something."""


class _Dialog:
    """Lines of a dialog as it goes on."""

    def __init__(self, half: int, known: list[Restaurant], random: Random):
        self.half, self.known, self.random = half, known, random
        self.lines: list[str] = []

    def turn(self, act: str, answer: str, value: str = "", answered: Sequence[str] = ()) -> None:
        """The user does something, in one of the ways to say so, and the bot answers."""
        said = self.random.choice(USER[act]).format(value)
        self.lines.append(f"{said}\t{BOT[answer].format(*answered)}")

    def goes_on(self, answer: str, answered: Sequence[str] = ()) -> None:
        """The bot speaks again, without the user."""
        self.lines.append(f"{SILENCE}\t{BOT[answer].format(*answered)}")

    def add_facts(self, found: list[Restaurant]) -> None:
        """Facts about restaurants, which are in no order, as an API call gives them."""
        for one in self.random.sample(found, len(found)):
            self.lines.extend(one.facts())

    def request(self, wish: Request) -> None:
        """Say from none to all of what is wanted, be asked for the rest, and see the bot search (task 1)."""
        self.turn("greet", "greet")
        given = self.random.sample(FIELDS, self.random.randint(0, len(FIELDS)))
        said = [self.random.choice(USER["request"])]
        said += [self.random.choice(USER[f"with {name}"]).format(getattr(wish, name)) for name in given]
        self.lines.append(f"{' '.join(said)}\t{BOT['request']}")
        missing = [name for name in FIELDS if name not in given]
        for before, name in zip([None, *missing], [*missing, "search"], strict=True):
            if before is None:
                self.goes_on(name)
            else:
                self.turn(before, name, getattr(wish, before))

    def change(self, wish: Request, wished: Request, names: Sequence[str]) -> None:
        """Say what is to be another way than before, and see the bot search again (task 2)."""
        for name in names:
            assert getattr(wish, name) != getattr(wished, name)
            self.turn(f"change {name}", "change", getattr(wished, name))
        self.turn("no more changes", "search")

    def choose(self, found: list[Restaurant]) -> Restaurant:
        """Refuse options, the best first, until one is accepted (task 3)."""
        best = sorted(found, key=lambda one: -one.rating)
        for place, one in enumerate(best, 1):
            self.goes_on("propose", [one.name])
            if place == len(best) or self.random.random() < ACCEPTED:
                self.turn("accept", "accept")
                return one
            self.turn("refuse", "refuse")
        raise AssertionError("nothing to choose from")

    def ask_about(self, one: Restaurant) -> None:
        """Ask for the phone number, the address, or, in half of all dialogs, for both (task 4)."""
        asked = self.random.choice((("phone",), ("address",), ("phone", "address"), ("address", "phone")))
        for name in asked:
            self.turn(f"ask {name}", name, "", [getattr(one, name)])

    def wishes(self, changes: int, least: int) -> tuple[Request, Request, Sequence[str]]:
        """A request, what becomes of it after some changes, which finds something, and what is changed, in order."""
        while True:
            wish = draw_request(self.half, self.random)
            names = self.random.sample(FIELDS, changes)
            others = {
                name: self.random.choice([one for one in possible(self.half)[name] if one != getattr(wish, name)])
                for name in names
            }
            wished = wish._replace(**others)
            if len(found_by(wished, self.known)) >= least:
                return wish, wished, names


def _issue(dialog: _Dialog) -> None:
    wish = draw_request(dialog.half, dialog.random)
    dialog.request(wish)
    dialog.goes_on("call", wish)


def _update(dialog: _Dialog) -> None:
    wish, wished, names = dialog.wishes(dialog.random.randint(1, len(FIELDS)), 0)
    dialog.request(wish)
    dialog.goes_on("call", wish)
    dialog.change(wish, wished, names)
    dialog.goes_on("call", wished)
    dialog.turn("thank", "end")


def _display(dialog: _Dialog) -> None:
    wish, _, _ = dialog.wishes(0, LEAST_OPTIONS[3])
    dialog.add_facts(found_by(wish, dialog.known))
    dialog.request(wish)
    dialog.choose(found_by(wish, dialog.known))


def _inform(dialog: _Dialog) -> None:
    one = dialog.random.choice(dialog.known)
    dialog.add_facts([one])
    dialog.turn("greet", "greet")
    dialog.turn("book", "accept", one.name)
    dialog.ask_about(one)


def _whole(dialog: _Dialog) -> None:
    wish, wished, names = dialog.wishes(dialog.random.randint(1, len(FIELDS)), LEAST_OPTIONS[5])
    dialog.request(wish)
    dialog.goes_on("call", wish)
    dialog.change(wish, wished, names)
    dialog.goes_on("call", wished)
    found = found_by(wished, dialog.known)
    dialog.add_facts(found)
    dialog.ask_about(dialog.choose(found))
    dialog.turn("thank", "thank")
    dialog.turn("no more", "end")


TASKS: dict[int, Callable[[_Dialog], None]] = {1: _issue, 2: _update, 3: _display, 4: _inform, 5: _whole}
"""Who leads the dialogs of each task."""


def make_dialogs(task: int, part: str, dialogs: int, seed: int) -> str:
    """Dialogs as text, in the published format.

    Args:
        task: a key of ``TASKS``.
        part: one of ``PARTS``; each has random numbers of its own, and "test_oov" restaurants of its own.
        dialogs: how many.
        seed: decides all of them.
    """
    half = int(part == "test_oov")
    known, random = restaurants(half, seed), Random(f"{seed} {part} {task}")
    found = []
    for _ in range(dialogs):
        dialog = _Dialog(half, known, random)
        TASKS[task](dialog)
        found.append("".join(f"{number} {line}\n" for number, line in enumerate(dialog.lines, 1)))
    return "\n".join(found)


def all_responses() -> list[str]:
    """All that the bot may ever say: with each of the 1,200 restaurants, and in each of the 600 API calls."""
    found = [pattern for pattern in BOT.values() if "{" not in pattern]
    for half in (0, 1):
        found += [BOT["call"].format(*wish) for wish in itertools.product(*possible(half).values())]
    for name, act in (("name", "propose"), ("phone", "phone"), ("address", "address")):
        found += [BOT[act].format(getattr(one, name)) for one in _all_restaurants()]
    return found


def all_words() -> list[str]:
    """All words of users, bots and facts, in lower case."""
    found = {word for patterns in USER.values() for pattern in patterns for word in words_of(pattern)}
    found |= {word for response in all_responses() for word in response.split()}
    found |= {word for one in _all_restaurants() for fact in one.facts() for word in fact.split()}
    return sorted({word.lower() for word in (*found, SILENCE)})


def _all_restaurants() -> list[Restaurant]:
    return [one for half in (0, 1) for one in restaurants(half, 0)]  # their names are those of any seed
