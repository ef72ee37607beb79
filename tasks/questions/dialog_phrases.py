"""What users and bots say in the made-up dialogs: up to four ways of a user's, one of the bot's.

Bordes et al. 2017, section 3.1, have 43 patterns of users and 20 of bots; these are our own.
"""

from __future__ import annotations

import string

SILENCE = "<SILENCE>"
"""Where the bot speaks twice in a row, this is what the user said in between."""

USER = {
    "greet": ("hi", "hello", "good evening", "hey there"),
    "request": (
        "i would like to book a table",
        "please reserve a table for me",
        "can you find me a restaurant",
        "i want to eat out",
    ),
    "with cuisine": ("with {} food", "where they serve {} dishes"),
    "with location": ("in {}",),
    "with people": ("for {} people", "for a party of {}"),
    "with price": ("in a {} price range", "that is {}"),
    "cuisine": ("i like {} food", "{} dishes please", "something {}"),
    "location": ("in {} please", "{}", "we will be in {}"),
    "people": ("there are {} of us", "for {} please", "we are {}"),
    "price": ("{} please", "it should be {}", "a {} one"),
    "change cuisine": ("i would rather have {} food", "could it be {} food instead"),
    "change location": ("i would rather go to {}", "could it be in {} instead"),
    "change people": ("we will rather be {}", "could it be for {} instead"),
    "change price": ("i would rather have a {} one", "could it be {} instead"),
    "no more changes": ("no", "that is all", "no more changes"),
    "accept": ("that sounds good", "i like that one", "yes book it", "perfect"),
    "refuse": ("no not that one", "i do not like it", "is there another one", "something else please"),
    "book": ("i would like a table at {}", "book {} for me", "please reserve at {}"),
    "ask phone": ("what is their phone number", "can i have the phone number", "which number do i call"),
    "ask address": ("what is the address", "where exactly is it", "can i have the address"),
    "thank": ("thank you", "thanks a lot", "great thanks"),
    "no more": ("no that was it", "nothing else", "no thank you"),
}
"""Patterns of a user by what they are to say."""

BOT = {
    "greet": "hello how may i help you",
    "request": "i will see to it",
    "cuisine": "what kind of food would you like",
    "location": "in which city should it be",
    "people": "how many people will come",
    "price": "how much may it cost",
    "search": "let me look what there is",
    "call": "api_call {} {} {} {}",
    "change": "all right is there anything else to change",
    "propose": "how about {}",
    "refuse": "i will look for another one",
    "accept": "very well i will book a table",
    "phone": "you can call {}",
    "address": "you find it at {}",
    "thank": "can i do anything else for you",
    "end": "have a nice evening",
}
"""What the bot says in answer, or to go on."""


def words_of(pattern: str) -> list[str]:
    """The words of a pattern, without what is filled in."""
    return [word for text, *_ in string.Formatter().parse(pattern) for word in text.split()]
