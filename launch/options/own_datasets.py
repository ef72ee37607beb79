"""Data sets of one's own on the command line: their options, read from what ``--data`` names by its module."""

from __future__ import annotations

from typing import Any

from launch.options.describing import describe
from launch.options.errors import UserError


def describe_own_dataset(path: str) -> dict[str, Any]:
    """What a data set of one's own says about itself, as ``launch.options.described.described`` says of the others.

    Raises:
        UserError: it cannot be imported, or an option of it cannot be given on a command line.
    """
    import tasks

    try:
        options, found = tasks.dataset_options(path), tasks.find_dataset(path)
    except tasks.UnknownDatasetError as error:
        raise UserError(str(error)) from None
    try:
        return {"title": found.title, "place": found.place, **describe(found.make, options.values())}
    except TypeError as error:
        raise UserError(
            f"data set {path!r}: {str(error).partition(': add it')[0]}: use int, float, bool or str"
        ) from None
