"""Every task says which settings are the length of a sequence."""

import pytest

from lukasa import tasks
from lukasa.tasks import TASKS

OWN = {
    "mqar": {"pairs": 4, "length": 64},
    "nth_farthest": {"pause": 4},
    "omniglot": {"classes": 4},
    "ngrams": {"length": 4},
    "traversal": {"min_path": 4, "max_path": 4},
    "binary_addition": {"min_digits": 4, "max_digits": 4},
    "babi": {},
}


@pytest.mark.parametrize("name", OWN)
def test_length_is_the_tasks_own_setting_or_its_first_range(name):
    assert TASKS[name].at_length(4) == OWN[name]


@pytest.mark.parametrize("name", TASKS)
def test_settings_of_a_length_are_settings_of_the_task(name):
    assert TASKS[name].at_length(4).keys() <= tasks.task_options(name).keys()
