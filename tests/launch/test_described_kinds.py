"""The kept table of what kinds offer is made anew when a file that decides about it changes."""

import inspect
from pathlib import Path

import pytest

from lukasa.launch.kinds.described import COMMANDS, SOURCES
from lukasa.launch.kinds.table import KINDS, kind_of

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", KINDS)
def test_every_file_with_recipes_or_options_of_a_kind_is_watched(name):
    watched = {path for pattern in SOURCES for path in ROOT.glob(pattern)}
    kind = kind_of(name)
    made = [kind.experiments.experiment, *kind.experiments.recipes.values()]
    made += [options(kind) for options in COMMANDS.values()]
    assert {Path(inspect.getfile(one)).resolve() for one in made} <= watched
