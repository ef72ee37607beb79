"""Tapes: what is to be written, how heads move, when an episode is lost, and how inputs grow."""

import gymnasium as gym
import numpy as np
import pytest

from lukasa import envs
from lukasa.envs.tapes_tasks import TASKS, longest_way, steps_needed

TAPES = [env_id for env_id in envs.ENVIRONMENTS if env_id.startswith("Tape")]


def number(digits, base):
    return sum(int(digit) * base**place for place, digit in enumerate(digits))


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("copy", lambda cells: cells),
        ("duplicated_input", lambda cells: cells[::2]),
        ("reverse", lambda cells: cells[::-1]),
        ("repeat_copy", lambda cells: cells[1:] * cells[0]),
    ],
)
def test_what_is_to_be_written_follows_from_the_tape(task, expected):
    generator, seen = np.random.default_rng(0), set()
    for length in (1, 2, 5) * 5:
        tape = TASKS[task](generator, length, 5, 1)
        (cells,) = tape.cells.tolist()
        assert tape.target.tolist() == expected(cells)
        assert [cells[column] for _, column in tape.source] == tape.target.tolist()
        assert steps_needed(tape.source) <= longest_way(task, length, 1)
        seen.add(cells[0])
    assert len(seen) > 1
    if task == "duplicated_input":
        assert cells[::2] == cells[1::2]


@pytest.mark.parametrize(("rows", "base"), [(2, 10), (3, 3)])
def test_addition_is_the_sum_of_the_rows(rows, base):
    generator = np.random.default_rng(0)
    for length in (1, 2, 6) * 5:
        tape = TASKS["addition"](generator, length, base, rows)
        assert number(tape.target, base) == sum(number(row, base) for row in tape.cells)
        assert len(tape.target) == length + 1


def test_there_is_no_trace_before_the_first_step():
    env = envs.Tapes()
    for _ in range(2):
        with pytest.raises(gym.error.ResetNeeded, match="nothing was done yet"):
            env.tape_trace()
        env.reset(seed=0)
    env.step([1, 0, 0])
    assert len(env.tape_trace().heads) == 1


def test_an_episode_by_hand():
    env = envs.Tapes("copy", length=3, shortest=3)
    first, _ = env.reset(seed=0)
    cells = env.machines.cells[0, 0].tolist()
    assert first == cells[0]
    assert env.step([0, 0, 0]) == (5, 0.0, False, False, {})  # left of the tape is a blank
    assert env.step([2, 0, 0])[0] == cells[0]
    assert env.step([2, 1, cells[0]])[:3] == (cells[1], pytest.approx(1 / 3), False)
    assert env.step([1, 1, cells[1]])[:3] == (cells[1], pytest.approx(1 / 3), False)
    assert env.step([2, 1, (cells[2] + 1) % 5]) == (cells[2], 0.0, True, False, {"success": False})
    trace = env.tape_trace()
    assert trace.heads[:, 1].tolist() == [0, -1, 0, 1, 1]
    assert trace.right.tolist() == [False, False, True, True, False]
    assert trace.written.tolist() == [-1, -1, cells[0], cells[1], (cells[2] + 1) % 5]


def test_time_runs_out_after_twice_the_steps_that_are_needed_and_four():
    env = envs.Tapes("copy", length=3, shortest=3)
    env.reset(seed=0)
    steps = [env.step([1, 0, 0]) for _ in range(10)]
    assert [over for _, _, over, _, _ in steps] == [False] * 9 + [True]
    assert steps[-1][-1] == {"success": False}


def test_memory_tape_keeps_what_is_put_on_it():
    env = envs.Tapes("reverse", length=4, memory=True)
    env.reset(seed=0)
    assert env.step([1, 0, 0, 2, 3])[0][1] == 5  # put a 3 and go right: a blank
    assert env.step([1, 0, 0, 0, 5])[0][1] == 3  # leave the blank and go back


@pytest.mark.parametrize("env_id", TAPES)
def test_oracle_reads_what_it_writes_in_half_the_time_there_is(env_id):
    env, longest = envs.make(env_id), 0
    for seed in range(30):
        env.reset(seed=seed)
        machines, steps, over, info = env.unwrapped.machines, 0, False, {}
        while not over:
            _, _, over, _, info = env.step(env.unwrapped.oracle())
            steps += 1
        assert info["success"]
        assert 2 * steps + 4 <= machines.limit[0]
        longest = max(longest, steps)
    assert longest > 5


@pytest.mark.parametrize("env_id", TAPES)
def test_actions_at_random_hardly_ever_succeed(env_id):
    env, found = envs.make_vec(env_id, 1000), []
    env.reset(seed=0)
    env.action_space.seed(0)
    for _ in range(30):
        _, _, terminated, _, info = env.step(env.action_space.sample())
        found += info["success"][terminated].tolist() if terminated.any() else []
    assert len(found) > 5000
    assert np.mean(found) < 0.05  # what there is comes from inputs of one symbol


def test_inputs_grow_when_they_are_told_to():
    for env in (envs.TapesVector(4, length=6), envs.Tapes(length=6)):
        for longest in (1, 4):
            env.grow(longest)
            lengths = []
            for seed in range(40):
                env.reset(seed=seed)
                lengths += env.machines.wanted.tolist()
            assert (min(lengths), max(lengths)) == (1, longest)
        assert env.full_length == 6
        with pytest.raises(ValueError, match="length is 7, expected a whole number from 1 to 6"):
            env.grow(7)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"task": "sort"}, "task is 'sort': choose one of 'copy'"),
        ({"length": 0}, "length is 0, expected a whole number from 1"),
        ({"length": 3, "shortest": 4}, "shortest is 4 and length 3"),
        ({"rows": 2}, "rows is 2, and for task 'copy' expected 1"),
        ({"task": "addition"}, "rows is 1, and for task 'addition' expected 2 or 3"),
        ({"task": "addition", "rows": 3, "symbols": 2}, "symbols is 2, expected a whole number from 3"),
        ({"task": "repeat_copy", "symbols": 3}, "symbols is 3, expected a whole number from 4"),
        ({"forward": True}, "expected task 'reverse' and memory=true"),
        ({"memory": 2}, "memory is 2, expected true or false"),
    ],
    ids=str,
)
def test_settings_that_make_no_tape_are_refused(settings, message):
    for make in (envs.Tapes, envs.TapesVector):
        with pytest.raises(ValueError, match=message):
            make(**settings)
