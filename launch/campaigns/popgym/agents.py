"""POPGym's environments, the agents of the table, and what was published."""

from __future__ import annotations

from dataclasses import dataclass

LEVELS = ("Easy", "Medium", "Hard")

FAMILIES = (
    "Autoencode",
    "Battleship",
    "Concentration",
    "CountRecall",
    "HigherLower",
    "LabyrinthEscape",
    "LabyrinthExplore",
    "MineSweeper",
    "MultiarmedBandit",
    "NoisyPositionOnlyCartPole",
    "NoisyPositionOnlyPendulum",
    "PositionOnlyCartPole",
    "PositionOnlyPendulum",
    "RepeatFirst",
    "RepeatPrevious",
    "VelocityOnlyCartpole",
)
"""Each in three levels."""

COMMON = (
    *("--envs-per-runner", "32", "--batch-size", "3328", "--minibatch-size", "832", "--epochs", "6"),
    *("--max-seq-len", "104", "--gamma", "0.99", "--gae-lambda", "0.95", "--lr", "1e-3", "--clip", "0.3"),
    *("--schedule", "linear", "--previous-action"),
)
"""Of every agent, on every environment: nothing is tuned to one of them."""


@dataclass(frozen=True)
class PopgymAgent:
    """Settings of an agent, the same on every environment.

    Attributes:
        says: what it is.
        words: for ``lukasa train rl``, on top of the common ones.
    """

    says: str
    words: tuple[str, ...]


AGENTS = {
    "gru": PopgymAgent("a GRU of 128", ("--core", "gru", "--memory.size", "128")),
    "lstm": PopgymAgent("an LSTM of 128", ("--core", "lstm", "--memory.size", "128")),
    "lmu": PopgymAgent("a Legendre memory unit", ("--core", "lmu")),
    "shm": PopgymAgent("a stable Hadamard memory", ("--core", "shm")),
    "ffm": PopgymAgent("a fast and forgetful memory", ("--core", "ffm")),
    "gtrxl": PopgymAgent("a gated Transformer-XL", ("--core", "gtrxl")),
    "dnc": PopgymAgent(
        "a DNC with a slot for every step of the easy environments",
        ("--core", "dnc", "--memory.slots", "64", "--memory.word-size", "16", "--memory.read-heads", "2"),
    ),
    "sam": PopgymAgent(
        "a sparse memory of 1,024 slots", ("--core", "sam", "--memory.slots", "1024", "--memory.word-size", "16")
    ),
    "ntm_tape": PopgymAgent(
        "an NTM whose heads begin as those of a tape, a slot a step, and whose controller is feed-forward",
        (
            *("--core", "ntm", "--memory.slots", "160", "--memory.word-size", "16", "--memory.read-heads", "2"),
            *("--memory.controller", "feedforward", "--memory.initial-motion", "tape"),
        ),
    ),
    "workbench_time": PopgymAgent(
        "a memory that appends what it saw with its time, and is read by content and by time",
        (
            *("--core", "workbench", "--memory.slots", "128", "--memory.writing", "append"),
            *("--memory.organisation", "by_time", "--memory.read-heads", "2", "--memory.controller", "gru"),
        ),
    ),
}
"""By name."""

RANDOM = {
    "Autoencode": (-50.5, -49.4, -50.9),
    "Battleship": (-45.0, -41.3, -39.6),
    "Concentration": (-18.3, -18.3, -83.5),
    "RepeatPrevious": (-50.0, -50.1, -49.2),
}
"""Returns of random actions times 100, by family and level, of the families on which most depends on memory; with their
three levels they are the twelve environments of the default."""

PERFECT = {"Autoencode": (100.0, 100.0, 100.0), "RepeatPrevious": (100.0, 100.0, 100.0)}
"""The most that there is, times 100, where remembering everything earns it."""

PUBLISHED = {
    "GRU": {"RepeatPreviousEasy": 99.9},
    "FFM": {"AutoencodeEasy": -32.7, "ConcentrationEasy": 10.7},
    "SHM": {"AutoencodeEasy": 49.5, "ConcentrationEasy": -1.9, "RepeatPreviousEasy": 88.9, "RepeatPreviousHard": -19.4},
}
"""Returns times 100 after 15 million steps, by model and environment: Le et al. 2025, Stable Hadamard Memory.

Only those of its table that could be checked.
"""

PUBLISHED_MEANS = {"FFM": -24.2, "SHM": -5.1}
"""Their means over the twelve environments of the families in ``RANDOM``."""


def env_id(family: str, level: str) -> str:
    """An environment's id.

    Example:
        >>> env_id("Autoencode", "Easy")
        'popgym-AutoencodeEasy-v0'
    """
    return f"popgym-{family}{level}-v0"


def family_of(env: str) -> tuple[str, int]:
    """The family of an environment, and the place of its level.

    Example:
        >>> family_of("popgym-AutoencodeHard-v0")
        ('Autoencode', 2)
    """
    short = short_name(env)
    level = next(place for place, name in enumerate(LEVELS) if short.endswith(name))
    return short.removesuffix(LEVELS[level]), level


def short_name(env: str) -> str:
    """An environment's id without what all have.

    Example:
        >>> short_name("popgym-AutoencodeHard-v0")
        'AutoencodeHard'
    """
    return env.removeprefix("popgym-").removesuffix("-v0")
