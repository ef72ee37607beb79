"""Libraries that say less on the user's screen."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keep deprecation notes and start-up chatter of libraries off the user's screen; errors still show."""
    # What becomes of runners is told by Runners and by our own errors, not as RLlib's tracebacks.
    quiet = {"ray": logging.ERROR, "ray.rllib": logging.ERROR, "gymnasium": logging.ERROR}
    quiet |= {"ray.rllib.utils.actor_manager": logging.CRITICAL, "ray.rllib.lukasa": logging.WARNING}
    loggers = [logging.getLogger(name) for name in quiet]
    levels = [logger.level for logger in loggers]
    for logger, level in zip(loggers, quiet.values(), strict=True):
        logger.setLevel(level)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
