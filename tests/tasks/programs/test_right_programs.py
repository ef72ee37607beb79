"""The right programs come to the right answers, and their cases are all that there are."""

import numpy as np
import pytest
import torch

from lukasa.tasks.programs import ACT, FORMS, TASKS, ActionError, cases, frames, right_steps, run
from lukasa.tasks.programs.environment import LEFT, MOVE, RIGHT, SWAP, WRITE
from lukasa.tasks.programs.number_array import NumberArray
from lukasa.tasks.programs.scratch_pad import CARRY, IN1, OUT, ScratchPad, read_sum

EVERY_TASK = pytest.mark.parametrize("name", TASKS)
EVERY_FORM = pytest.mark.parametrize("form", FORMS)


def problems(task, base, longest=9, count=25, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [task.sample(longest, base, generator) for _ in range(count)]


@EVERY_TASK
@EVERY_FORM
@pytest.mark.parametrize("base", [2, 10, 36])
def test_right_programs_come_to_the_right_answer(name, form, base):
    task = TASKS[name]
    for problem in problems(task, base):
        env = task.make(problem, base)
        for _ in run(task.programs(form, base), task.main, env):
            pass
        assert env.answer() == task.right(problem, base)


def test_right_answers_are_those_of_python():
    for problem in problems(TASKS["addition"], 10):
        first, second = TASKS["addition"].written(problem).split("+")
        assert int(TASKS["addition"].right(problem, 10)) == int(first) + int(second)
    assert TASKS["addition"].right(read_sum("zz+1", 36), 36) == "100"
    assert TASKS["bubble_sort"].right((3, 1, 3, 0), 10) == "0,1,3,3"
    assert TASKS["maximum"].right((3, 1, 7, 0), 10) == "7"


@EVERY_TASK
def test_recursive_programs_make_few_calls(name):
    task = TASKS[name]
    for problem in problems(task, 10, longest=15):
        found = frames("any", right_steps(task, "recursive", 10, problem))
        assert max(len(frame.calls) for frame in found) <= 5


@EVERY_TASK
@pytest.mark.parametrize("base", [2, 3])
def test_long_problems_have_no_case_that_is_not_listed(name, base):
    task = TASKS[name]
    listed = cases(task, base)
    generator = torch.Generator().manual_seed(1)
    scene = task.scene(base).name
    for length in (1, 2, 17, 31):
        for _ in range(6):
            problem = task.sample(length, base, generator, exactly=True)
            assert set(frames(scene, right_steps(task, "recursive", base, problem))) <= set(listed)


def test_cases_of_addition_are_all_columns_before_all_columns():
    # A column and the next: digits, or blank from some place on; each of both numbers; and a carry into it or none.
    base = 3
    found = cases(TASKS["addition"], base)
    columns = {frame.seen[0] + frame.seen[-1] for frame in found if frame.program == "LSHIFT"}
    numbers = base * base + base + 1
    with_and_without_carry = 2 * numbers**2
    # Without a carry, a column of two blanks is the end and is never left.
    assert len({(seen[0], seen[1], seen[2], seen[4], seen[5]) for seen in columns}) == with_and_without_carry - 1


@EVERY_TASK
def test_many_problems_side_by_side_act_like_single_ones(name):
    task = TASKS[name]
    base, rng = 10, np.random.default_rng(0)
    drawn = problems(task, base, longest=4, count=12)
    many, single = task.many(drawn, base), [task.make(problem, base) for problem in drawn]
    refused = 0
    for _ in range(150):
        rows = np.flatnonzero(rng.random(len(drawn)) < 0.7)
        actions = np.stack(
            [rng.integers(0, 4, len(rows)), rng.integers(0, 4, len(rows)), rng.integers(0, 10, len(rows))], 1
        )
        actions[rng.random(len(rows)) < 0.6, 2] %= 2
        done = many.act(rows, actions)
        for row, action, could in zip(rows, actions.tolist(), done, strict=True):
            try:
                single[row].act(tuple(action))
                assert could
            except ActionError:
                refused += 1
                assert not could
        seen = many.observe(np.arange(len(drawn)))
        assert seen.tolist() == [list(env.observe()) for env in single]
    assert many.answers() == [env.answer() for env in single]
    assert refused > 10


def test_environments_refuse_what_leaves_them():
    pad, array = ScratchPad(((1,), (2,))), NumberArray((5, 3))
    for env, action, sentence in (
        (pad, (MOVE, CARRY, RIGHT), "pointer CARRY leaves the pad"),
        (pad, (WRITE, IN1, 3), "no action"),
        (array, (MOVE, 7, LEFT), "no action"),
        (array, (SWAP, 0, 2), "no action"),
    ):
        with pytest.raises(ActionError, match=sentence):
            env.act(action)
    array.act((MOVE, 0, LEFT))
    with pytest.raises(ActionError, match="no number to swap"):
        array.act((SWAP, 0, 1))
    with pytest.raises(ActionError, match="pointer 1 leaves the array"):
        array.act((MOVE, 0, LEFT))
    pad.act((WRITE, OUT, 3))
    assert pad.answer() == "3"


def test_bubble_sort_makes_the_calls_of_the_paper():
    steps = list(right_steps(TASKS["bubble_sort"], "loops", 10, (7, 2)))
    calls = [step.call.program for step in steps if step.call]
    assert calls[:6] == ["BUBBLE", ACT, "BSTEP", "COMPSWAP", ACT, "RSHIFT"]
    assert calls.count("BUBBLE") == calls.count("RESET") == 2
    assert calls.count("COMPSWAP") == 2
    assert [step.call.arguments for step in steps if step.program == "COMPSWAP" and step.call] == [(SWAP, 0, 1)]


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("addition", "12+1a", "has the digit 'a': base 10 has the digits 0123456789"),
        ("addition", "-3+4", "has the negative number -3"),
        ("addition", "34", "expected two numbers and a \\+ between them"),
        ("addition", "34+", "expected two numbers and a \\+ between them"),
        ("addition", "1" * 100_001 + "+1", "100,001: expected 1 to 100,000, which is as far as pointers reach"),
        ("bubble_sort", "3,-1", "has the negative number -1: expected numbers from 0 to 9"),
        ("bubble_sort", "3,10", "has '10': expected numbers from 0 to 9"),
        ("bubble_sort", "3,x", "has 'x': expected numbers"),
        ("bubble_sort", " ", "numbers of an array: 0: expected 1 to 100,000"),
        ("maximum", "1," * 100_001, "100,001: expected 1 to 100,000"),
    ],
)
def test_bad_problems_are_one_sentence(name, text, sentence):
    with pytest.raises(ValueError, match=sentence):
        TASKS[name].read(text, 10)


@pytest.mark.parametrize("base", [1, 37])
def test_bases_without_digits_are_refused(base):
    with pytest.raises(ValueError, match=f"base is {base}: expected a number from 2 to 36"):
        TASKS["addition"].scene(base)


def test_sampled_numbers_have_no_leading_zero():
    generator = torch.Generator().manual_seed(0)
    drawn = [TASKS["addition"].sample(5, 2, generator, exactly=True) for _ in range(50)]
    assert all(len(number) == 5 and number[-1] == 1 for problem in drawn for number in problem)
