"""Made-up restaurants, as in Bordes et al. 2017, section 3.1: two halves of 600 that share no place and no cuisine."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

CUISINES = (("british", "french", "indian", "italian", "spanish"), ("chinese", "japanese", "korean", "thai", "turkish"))
LOCATIONS = (("london", "madrid", "mumbai", "paris", "rome"), ("ankara", "bangkok", "beijing", "seoul", "tokyo"))
"""Those of the usual dialogs, and those that appear in the dialogs of part "test_oov" alone."""

PRICES = ("cheap", "moderate", "expensive")
PEOPLE = ("two", "four", "six", "eight")
RATINGS = tuple(range(1, 9))

FIELDS = ("cuisine", "location", "people", "price")
"""What an API call names, in this order."""


class Request(NamedTuple):
    """What a user wants; the words of an API call."""

    cuisine: str
    location: str
    people: str
    price: str


class Restaurant(NamedTuple):
    """One restaurant, which has tables for one size of party alone."""

    name: str
    request: Request  # the one that finds it
    rating: int

    @property
    def phone(self) -> str:
        """Its number, one word."""
        return f"{self.name}_phone"

    @property
    def address(self) -> str:
        """Where it is, one word."""
        return f"{self.name}_address"

    def facts(self) -> list[str]:
        """All that is known about it, in the published format."""
        known = (
            ("phone", self.phone),
            ("cuisine", self.request.cuisine),
            ("address", self.address),
            ("location", self.request.location),
            ("number", self.request.people),
            ("price", self.request.price),
            ("rating", str(self.rating)),
        )
        return [f"{self.name} R_{relation} {value}" for relation, value in known]


def restaurants(half: int, seed: int) -> list[Restaurant]:
    """The 600 restaurants of one half: 5 cuisines × 5 locations × 3 prices × 8 ratings, the sizes of parties by chance.

    Args:
        half: 0 for those of the usual dialogs, 1 for those out of the vocabulary.
        seed: decides the sizes.
    """
    random = Random(f"{seed} restaurants {half}")
    return [
        Restaurant(
            f"resto_{location}_{price}_{cuisine}_{rating}stars",
            Request(cuisine, location, random.choice(PEOPLE), price),
            rating,
        )
        for cuisine in CUISINES[half]
        for location in LOCATIONS[half]
        for price in PRICES
        for rating in RATINGS
    ]


def possible(half: int) -> dict[str, tuple[str, ...]]:
    """The values of each field of a request."""
    return {"cuisine": CUISINES[half], "location": LOCATIONS[half], "people": PEOPLE, "price": PRICES}


def draw_request(half: int, random: Random) -> Request:
    """A user's wishes, each field drawn by itself."""
    return Request(*(random.choice(values) for values in possible(half).values()))


def found_by(request: Request, known: list[Restaurant]) -> list[Restaurant]:
    """What an API call finds: the restaurants with all four fields."""
    return [one for one in known if one.request == request]
