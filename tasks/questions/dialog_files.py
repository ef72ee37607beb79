"""The dialogs about restaurants in the format in which they were published (Bordes et al. 2017)."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from lukasa.tasks.data import VARIABLE, DataError, cache_folder, folders, read_text

CANDIDATES = "dialog-babi-candidates.txt"

FILES = {1: "API-calls", 2: "API-refine", 3: "options", 4: "phone-address", 5: "full-dialogs"}
"""What the tasks are called in the names of their files."""

ENDINGS = {"train": "trn", "validation": "dev", "test": "tst", "test_oov": "tst-OOV"}
"""What the parts are called in the names of their files."""

HOME = "https://research.facebook.com/downloads/babi/"
FOLDER = "dialog-bAbI-tasks"


class Turn(NamedTuple):
    """The user says something and the bot answers, or a fact is added that an API call found."""

    user: list[str]  # words; of a fact its three parts
    bot: list[str]  # words; of a fact none

    @property
    def is_fact(self) -> bool:
        """Whether it is a fact."""
        return not self.bot


def find_dialogs(data_dir: str = "") -> Path | None:
    """The folder that holds the published files, or None where there is none.

    Args:
        data_dir: folder to look in first; see ``lukasa.tasks.data``.

    Raises:
        DataError: the folder a user named is not there.
    """
    for folder in folders("dialog", data_dir):
        for place in (folder, folder / FOLDER):
            if (place / CANDIDATES).is_file():
                return place
    return None


def missing_dialogs(data_dir: str = "") -> DataError:
    """What to say where the files are not available."""
    folder = Path(data_dir or os.environ.get(VARIABLE) or cache_folder()).absolute()
    return DataError(
        f"{CANDIDATES} of the dialog bAbI tasks (Bordes et al. 2017) is not on this machine: put the folder {FOLDER} "
        f"(from {HOME}) in {folder}, or name the one it is in with {VARIABLE}"
    )


def dialogs_in(folder: Path, task: int, part: str, candidates: Collection[str]) -> list[list[Turn]]:
    """The dialogs of a file.

    Args:
        folder: that ``find_dialogs`` found.
        task: from 1 to 5.
        part: a key of ``ENDINGS``.
        candidates: all that a bot may say.

    Raises:
        DataError: it is not there, or a line is not as it should be.
    """
    path = folder / f"dialog-babi-task{task}-{FILES[task]}-{ENDINGS[part]}.txt"
    return read_dialogs(read_text(path, f" from {HOME}, or leave this task out"), str(path), candidates)


def candidates_in(folder: Path) -> list[list[str]]:
    """All that a bot may say, word by word, each once.

    Raises:
        DataError: a line is not as it should be.
    """
    path = folder / CANDIDATES
    found: dict[tuple[str, ...], None] = {}
    for place, line in enumerate(read_text(path, f" from {HOME}").splitlines(), 1):
        number, _, words = line.strip().partition(" ")
        if not number.isdecimal() or not words.strip():
            raise DataError(f"{path}, line {place}: expected a number and what the bot may say, found {line[:40]!r}")
        found[tuple(words.lower().split())] = None
    if not found:
        raise DataError(f"{path} is empty, expected a number and what the bot may say in each line: get the file anew")
    return [list(words) for words in found]


def read_dialogs(text: str, where: str, candidates: Collection[str]) -> list[list[Turn]]:
    """Dialogs in the published format.

    Args:
        text: lines of a number, from 1 in each dialog, and what the user says, a tab and what the bot answers; or of a
            number and a fact, "restaurant relation value". Empty lines are between dialogs.
        where: the file's name, for messages.
        candidates: all that a bot may say.

    Raises:
        DataError: a line is not as it should be, or there is no dialog.
    """
    found: list[list[Turn]] = []
    before = 0
    for place, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        number, _, rest = line.partition(" ")
        if number not in ("1", str(before + 1)) or (before == 0 and number != "1"):
            expected = "1" if before == 0 else f"{before + 1}, or 1 for a new dialog"
            raise DataError(f"{where}, line {place}: expected the line's number {expected}, found {number[:20]!r}")
        before = int(number)
        if before == 1:
            found.append([])
        try:
            found[-1].append(_read_turn(rest, candidates))
        except ValueError as fault:
            raise DataError(f"{where}, line {place}: {fault}") from None
    if not found:
        raise DataError(f"{where} is empty, expected dialogs: get the file anew")
    return found


def _read_turn(said: str, candidates: Collection[str]) -> Turn:
    user, *rest = said.lower().split("\t")
    words = user.split()
    if not rest:
        if len(words) != 3 or not words[1].startswith("r_"):
            raise ValueError(
                "expected what the user says, a tab and what the bot answers, or a fact such as "
                f"'restaurant R_price cheap', found {said[:40]!r}"
            )
        return Turn(words, [])
    if len(rest) > 1 or not words or not rest[0].split():
        raise ValueError(f"expected something before and after one tab, found {said[:40]!r}")
    bot = rest[0].split()
    if " ".join(bot) not in candidates:
        raise ValueError(f"{' '.join(bot)[:60]!r} is not among the {len(candidates):,} things that a bot may say")
    return Turn(words, bot)
