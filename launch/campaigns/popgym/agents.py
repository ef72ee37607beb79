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
"""Returns of random actions times 100, by family and level, measured here."""

PERFECT = {
    "Autoencode": (100.0, 100.0, 100.0),
    "Concentration": (81.6, 81.5, 69.8),
    "RepeatPrevious": (100.0, 100.0, 100.0),
}
"""Returns of scripted players that remember everything, times 100; for Battleship there is none."""

PUBLISHED = {
    "GRU": {
        "Autoencode": (-37.9, -43.6, -48.1),
        "Battleship": (-41.1, -39.4, -41.0),
        "Concentration": (-10.9, -21.4, -84.0),
        "RepeatPrevious": (99.9, -34.7, -42.9),
    },
    "FFM": {
        "Autoencode": (-32.7, -33.0, -47.7),
        "Battleship": (-34.0, -37.1, -38.8),
        "Concentration": (10.7, -24.7, -83.9),
        "RepeatPrevious": (98.4, -24.3, -33.9),
    },
    "SHM": {
        "Autoencode": (49.5, -28.8, -43.9),
        "Battleship": (-12.3, -16.8, -21.2),
        "Concentration": (-1.9, -21.0, -83.0),
        "RepeatPrevious": (88.9, 48.2, -19.4),
    },
}
"""Returns times 100 after 15 million steps, by model, family and level, of Le et al. 2025, Stable Hadamard Memory.

Their means over all twelve (GRU -28.8, FFM -24.2, SHM -5.1) and most easy ones were checked; others are quoted from
memory, and may be off by a few points.
"""


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
    short = env.removeprefix("popgym-").removesuffix("-v0")
    level = next(place for place, name in enumerate(LEVELS) if short.endswith(name))
    return short.removesuffix(LEVELS[level]), level
