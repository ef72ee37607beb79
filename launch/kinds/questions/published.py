"""Error percentages that papers report on the twenty bAbI tasks, the first is task 1."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """One column of a paper's table.

    Attributes:
        paper: whose.
        mean: error % over the twenty tasks.
        failed: how many tasks have more than 5 % error; None where the paper does not say.
        tasks: error % of each; empty where only the mean is known.
    """

    paper: str
    mean: float
    failed: int | None = None
    tasks: tuple[float, ...] = ()


BABI: dict[tuple[str, str, bool], Published] = {
    ("memn2n", "en", True): Published(
        "Sukhbaatar et al. 2015, PE LS RN, best of 10",
        13.9,
        11,
        (0, 8.3, 40.3, 2.8, 13.1, 7.6, 17.3, 10.0, 13.2, 15.1, 0.9, 0.2, 0.4, 1.7, 0, 1.3, 51.0, 11.1, 82.8, 0),
    ),
    ("memn2n", "en", False): Published(
        "Sukhbaatar et al. 2015, PE LS RN joint",
        12.4,
        11,
        (0, 11.4, 21.9, 13.4, 14.4, 2.8, 18.3, 9.3, 1.9, 6.5, 0.3, 0.1, 0.2, 6.9, 0, 2.7, 40.4, 9.4, 88.0, 0),
    ),
    ("memn2n", "en-10k", True): Published(
        "Sukhbaatar et al. 2015, as in Henaff et al. 2017",
        4.2,
        3,
        (0, 0.3, 2.1, 0, 0.8, 0.1, 2.0, 0.9, 0.3, 0, 0.1, 0, 0, 0.1, 0, 51.8, 18.6, 5.3, 2.3, 0),
    ),
    ("memn2n", "en-10k", False): Published(
        "Sukhbaatar et al. 2015, joint",
        7.5,
        6,
        (0, 1.0, 8.9, 0, 6.1, 0.1, 9.9, 2.7, 0, 0.5, 0, 0.1, 0, 0, 0.2, 0.2, 41.8, 8.0, 75.7, 0),
    ),
    ("memory_network", "en", True): Published(
        "Weston et al. 2015b, AM+NG+NL",
        6.7,
        4,
        (0, 0, 0, 0, 2, 0, 15, 9, 0, 2, 0, 0, 0, 1, 0, 0, 35, 5, 64, 0),
    ),
    ("memory_network", "en-10k", True): Published("Weston et al. 2015b", 3.2, 2),
    ("query_reduction", "en", True): Published(
        "Seo et al. 2017, 2r, best of 10",
        9.9,
        7,
        (0, 0.7, 5.7, 0, 1.1, 0.9, 9.6, 5.6, 0, 0, 0, 0, 0, 0.8, 0, 53.0, 34.4, 7.9, 78.7, 0.2),
    ),
    ("query_reduction", "en-10k", True): Published("Seo et al. 2017, their best setting", 0.3, 0),
    ("entity_network", "en-10k", True): Published(
        "Henaff et al. 2017, best of 10",
        0.5,
        0,
        (0, 0.1, 4.1, 0, 0.3, 0.2, 0, 0.5, 0.1, 0.6, 0.3, 0, 1.3, 0, 0, 0.2, 0.5, 0.3, 2.3, 0),
    ),
    ("dmn_plus", "en-10k", True): Published(
        "Xiong et al. 2016",
        2.8,
        1,
        (0, 0.3, 1.1, 0, 0.5, 0, 2.4, 0, 0, 0, 0, 0, 0, 0.2, 0, 45.3, 4.2, 2.1, 0, 0),
    ),
    ("universal_transformer", "en-10k", False): Published("Dehghani et al. 2019, joint, with ACT", 0.29, 0),
    ("transformer", "en-10k", False): Published("Dehghani et al. 2019, joint", 22.1, 12),
    ("transformer", "en-10k", True): Published("Dehghani et al. 2019", 15.2, 10),
    ("dnc", "en-10k", False): Published(
        "Graves et al. 2016, mean, word by word",
        16.7,
        11,
        (9.0, 39.2, 39.6, 0.4, 1.5, 6.9, 9.8, 5.5, 7.7, 9.6, 3.3, 5.0, 3.1, 11.0, 27.2, 53.6, 32.4, 4.2, 64.6, 0),
    ),
    ("sdnc", "en-10k", False): Published("Rae et al. 2016, best, word by word", 2.9, 1),
}
"""By reader or core, size of the training set, and whether each task had a reader of its own."""

FAILED = 5.0
"""Percent of errors above which a task counts as failed."""

DIALOG: dict[int, float] = {1: 99.9, 2: 100.0, 3: 74.9, 4: 59.5, 5: 96.1}
"""Percent of right responses of MemN2N, by task (Bordes et al. 2017, table 2, without match type)."""

DIALOG_OOV: dict[int, float] = {1: 72.3, 2: 78.9, 3: 74.4, 4: 57.6, 5: 65.5}
"""The same where the test has words that training never had."""


def published(reader: str, data: str, size: str, apart: bool) -> Published | None:
    """What a paper reports of a reader on bAbI; None for other questions, or where none does.

    Example:
        >>> published("memn2n", "babi", "en", False).mean
        12.4
    """
    return BABI.get((reader, size, apart)) if data == "babi" else None
