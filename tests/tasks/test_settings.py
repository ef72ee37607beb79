"""Settings that no task could have are refused in one sentence."""

import doctest
import importlib
import pkgutil
import re

import pytest
import torch

from lukasa import tasks
from lukasa.tasks.graph_tasks import EDGE_KINDS, TRAVERSAL_LESSONS, Traversal

REFUSED = [
    ("copy", {"bits": 0}, "copy: bits is 0, expected a whole number of at least 1"),
    ("copy", {"rounds": True}, "copy: rounds is True, expected a whole number of at least 1"),
    ("copy", {"min_length": 9, "max_length": 3}, "copy: min_length 9 is above max_length 3: raise max_length"),
    ("reverse", {"max_length": 2.5}, "reverse: max_length is 2.5, expected a whole number of at least 1"),
    ("repeat_copy", {"min_repeats": 0}, "repeat_copy: min_repeats is 0, expected a whole number of at least 1"),
    ("repeat_copy", {"layout": "sam"}, "repeat_copy: layout is 'sam': choose one of 'ntm', 'dnc'"),
    ("associative_recall", {"min_items": 1}, "min_items is 1, expected a whole number of at least 2"),
    ("ngrams", {"length": 5}, "ngrams: length is 5, expected a whole number of at least 6"),
    ("priority_sort", {"kept": 0}, "priority_sort: kept is 0, expected a share above 0 and at most 1"),
    ("stack_anbn", {"language": "anb3n"}, "stack language: language is 'anb3n': choose one of 'anbn'"),
    ("binary_addition", {"max_digits": 62}, "max_digits is 62, expected a whole number from 1 to 61"),
    ("key_value", {"bits": 2}, "key_value: max_pairs is 16, expected a whole number from 1 to 4"),
    ("changing_pairs", {"min_pairs": 5}, "changing_pairs: min_pairs is 5, expected a whole number of at least 6"),
    ("changing_pairs", {"keys": 65}, "changing_pairs: keys is 65, expected a whole number from 1 to 64"),
    ("copy", {"pause": -1}, "copy: pause is -1, expected a whole number of at least 0"),
    ("parity", {"max_numbers": 65}, "parity: max_numbers is 65, expected a whole number from 1 to 64"),
    ("running_sum", {"max_digits": 16}, "running_sum: max_digits is 16, expected a whole number from 1 to 15"),
    ("mqar", {"vocabulary": 65}, "mqar: vocabulary is 65, expected an even number"),
    ("mqar", {"pairs": 20}, "mqar: length is 64, expected a whole number of at least 80"),
    ("mqar", {"power": 0}, "mqar: power is 0, expected a number above 0"),
    ("nth_farthest", {"vectors": 1}, "nth_farthest: vectors is 1, expected a whole number of at least 2"),
    ("traversal", {"max_degree": 21}, "traversal: max_degree is 21, expected a whole number from 1 to 20"),
    ("shortest_path", {"plan": -1}, "shortest_path: plan is -1, expected a whole number of at least 0"),
    ("inference", {"max_path": 6}, "inference: max_path is 6, expected a whole number from 2 to 5"),
    ("london_shortest_path", {"max_path": 10}, "max_path is 10, expected a whole number from 1 to 9"),
    ("family_inference", {"min_path": 1}, "min_path is 1, expected a whole number from 2 to 5"),
    ("babi", {"tasks": (21,)}, "babi: tasks is (21,), expected a tuple of different numbers among 1, 2,"),
    ("babi", {"size": "hn"}, "babi: size is 'hn': choose one of 'en', 'en-10k'"),
    ("babi", {"part": "longer"}, "babi: part is 'longer': choose one of 'train', 'validation', 'test'"),
    ("babi_made", {"tasks": (4,)}, "babi_made: tasks is (4,), expected a tuple of different numbers among 1, 2, 3,"),
    ("babi_made", {"scale": 2}, "scale is 2, but tasks 15 and 16 have no longer form: leave them out"),
]


@pytest.mark.parametrize(("name", "options", "message"), REFUSED)
def test_impossible_setting_is_refused_in_one_sentence(name, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        tasks.make_task(name, **options)


def test_graphs_that_never_have_such_a_path_are_refused():
    sampler = tasks.make_task("shortest_path", min_nodes=2, max_nodes=2, min_path=2, max_path=2)
    with pytest.raises(ValueError, match="graphs: hardly any has a path of 2 to 2 edges"):
        sampler.sample(2, torch.Generator().manual_seed(0))


def test_unknown_task_and_split_name_the_nearest():
    with pytest.raises(tasks.UnknownTaskError, match="unknown task 'copie': did you mean 'copy'"):
        tasks.make_task("copie")
    with pytest.raises(tasks.UnknownTaskError, match="unknown split of task 'copy': 'tests': did you mean 'test'"):
        tasks.make_task("copy", split="tests")


def test_unknown_option_names_the_nearest():
    with pytest.raises(TypeError, match="task 'copy' has no option 'max_lenght': did you mean 'max_length'"):
        tasks.make_task("copy", max_lenght=3)


def test_options_come_with_types_and_the_defaults_of_the_task():
    options = tasks.task_options("repeat_copy_dnc")
    assert options["bits"].default == 4
    assert options["bits"].annotation is int
    with pytest.raises(tasks.UnknownTaskError):
        tasks.task_options("nothing")


def test_splits_have_their_sizes_and_repeat_themselves():
    first, again = (list(tasks.split_batches("copy", "test", 300)) for _ in range(2))
    assert [len(batch.lengths) for batch in first] == [300, 300, 300, 100]
    assert all(torch.equal(a.inputs, b.inputs) for a, b in zip(first, again, strict=True))
    assert {task.splits["validation"].size for task in tasks.TASKS.values() if "babi" not in task.name} == {1000}


def test_finite_split_gives_every_story_once():
    batches = list(tasks.split_batches("babi_made", "test", 64, stories=50))
    assert sum(len(batch.lengths) for batch in batches) == 50 * 6
    seen = {row[:length].argmax(-1).numpy().tobytes()
            for batch in batches for row, length in zip(batch.inputs, batch.lengths, strict=True)}  # fmt: skip
    assert len(seen) > 290


def test_lessons_of_traversal_are_possible_and_grow():
    sizes = [Traversal(**lesson).spec.holds for lesson in TRAVERSAL_LESSONS]
    assert sizes == sorted(sizes)
    assert all(lesson["max_degree"] <= EDGE_KINDS for lesson in TRAVERSAL_LESSONS)
    tasks.check_curriculum("traversal", tasks.Lessons(TRAVERSAL_LESSONS))


def test_chance_follows_the_lengths():
    assert tasks.make_task("copy", min_length=10, max_length=10, rounds=5).spec.chance == 8 * 50
    assert tasks.make_task("priority_sort", min_items=10, max_items=10).spec.chance == 8 * 8
    assert tasks.make_task("mqar", vocabulary=256).spec.chance == pytest.approx(100 / 128)


@pytest.mark.parametrize("name", [info.name for info in pkgutil.iter_modules(tasks.__path__, "tasks.")])
def test_examples_in_docstrings_run(name):
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0
