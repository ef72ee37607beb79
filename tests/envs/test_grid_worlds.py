"""The worlds of cells: what a walker sees, how it moves, what the fields hold, and what memory is worth in them."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from lukasa import envs
from lukasa.envs.goal_search import dead_ends, passages
from lukasa.envs.grid_worlds import (
    BACK,
    FIRST_CUE,
    FIRST_GOAL,
    FLOOR,
    FORWARD,
    SECOND_CUE,
    SECOND_GOAL,
    STEPS,
    TURN_LEFT,
    TURN_RIGHT,
    WALL,
)
from lukasa.envs.pattern_matching import split, tiles

IDS = ("IMaze-v0", "PatternMatching-v0", "GoalSearch-S7-11-v0", "GoalSearch-S13-15-v0")


def made(env_id: str, seed: int = 0, **settings: Any) -> Any:
    """A world that was reset, without wrappers."""
    env = gym.make(env_id, **settings).unwrapped
    env.reset(seed=seed)
    return env


def drawn(kinds: np.ndarray) -> list[str]:
    """A view [A + 1, U, C] as text, the farthest row first: ? unseen, . floor, # wall, a b cues, 1 2 goals."""
    symbols = np.where(kinds.any(-1), kinds.argmax(-1), 6)
    return ["".join(".#ab12?"[symbol] for symbol in row) for row in symbols[::-1]]


def put(env: Any, row: int, column: int, facing: int) -> np.ndarray:
    """What a walker sees that is put somewhere."""
    env.walkers.place[0], env.walkers.facing[0] = (row, column), facing
    return env.walkers.view()[0]


def by_hand(env: Any) -> np.ndarray:
    """The view cell by cell: [A + 1, U, C]."""
    cells, (row, column), facing = env.walkers.cells[0], env.walkers.place[0], env.walkers.facing[0]
    ahead, half = env.world.ahead, env.world.width // 2
    seen, blocked = np.zeros((ahead + 1, 2 * half + 1, 6), np.float32), False
    for far in range(ahead + 1):
        for aside in range(-half, half + 1):
            down = {0: (-far, aside), 1: (aside, far), 2: (far, -aside), 3: (-aside, -far)}[int(facing)]
            at = row + down[0], column + down[1]
            inside = 0 <= at[0] < cells.shape[0] and 0 <= at[1] < cells.shape[1]
            if not blocked:
                seen[far, aside + half, cells[at] if inside else WALL] = 1
        blocked = blocked or bool(seen[far, half, WALL])
    return seen


def test_view_of_an_i_maze_is_what_lies_ahead():
    """East to the goals, where 1 lies to the left; west to the cue; a wall hides what is behind it."""
    env = made("IMaze-v0", lengths=[3])
    cue = "ab"[env.walkers.cells[0, 2, 1] - FIRST_CUE]
    assert drawn(put(env, 2, 2, 1)) == ["1.2", "#.#", "#.#", "#.#"]
    assert drawn(put(env, 2, 4, 3)) == [f".{cue}.", "#.#", "#.#", "#.#"]
    assert drawn(put(env, 2, 2, 3)) == ["???", "###", f".{cue}.", "#.#"]
    assert drawn(put(env, 2, 2, 0)) == ["???", "???", ".##", f"{cue}.."]


@pytest.mark.parametrize("env_id", IDS)
def test_view_is_the_one_found_cell_by_cell(env_id: str):
    """In every free cell of a field, facing every way; wide and far enough to look beyond the field."""
    env = made(env_id, width=5, ahead=4)
    for row, column in np.argwhere(env.walkers.cells[0] != WALL):
        for facing in range(4):
            np.testing.assert_array_equal(put(env, row, column, facing), by_hand(env))


def test_walker_turns_and_steps_and_is_stopped_by_walls():
    env = made("IMaze-v0", lengths=[5], start="cue")
    assert env.walkers.place[0].tolist() == [2, 2]
    walked = []
    for action in (TURN_LEFT, FORWARD, TURN_LEFT, FORWARD, BACK, TURN_RIGHT, TURN_RIGHT, BACK):
        env.step(action)
        walked.append((*env.walkers.place[0].tolist(), int(env.walkers.facing[0])))
    assert walked == [(2, 2, 2), (2, 2, 2), (2, 2, 1), (2, 3, 1), (2, 2, 1), (2, 2, 2), (2, 2, 3), (2, 3, 3)]


@pytest.mark.parametrize("env_id", IDS)
def test_right_goal_earns_1_and_the_other_takes_1(env_id: str):
    """Which goal is right is drawn anew in every episode; a walker beside a goal, looking at it, enters it."""
    seen = set()
    for seed in range(12):
        for kind in (FIRST_GOAL, SECOND_GOAL):
            env = made(env_id, seed)
            goal = np.argwhere(env.walkers.cells[0] == kind)[0]
            way = next(way for way in range(4) if env.walkers.cells[0][tuple(goal - STEPS[way])] != WALL)
            row, column = goal - STEPS[way]
            put(env, row, column, way)
            _, reward, terminated, truncated, info = env.step(FORWARD)
            right = kind == env.walkers.goal[0]
            assert (reward, terminated, truncated, info) == (1 if right else -1, True, False, {"success": right})
            seen.add(int(env.walkers.goal[0]))
    assert seen == {FIRST_GOAL, SECOND_GOAL}


def success_of_a_guess(env: Any, episodes: int) -> float:
    """How often the oracle of the goal that was right in the episode before reaches the right one."""
    env.reset(seed=0)
    before, successes = env.walkers.goal[0], []
    for _ in range(episodes):
        env.reset()
        now = int(env.walkers.goal[0])
        env.walkers.goal[0] = before
        over, found = False, 0.0
        while not over:
            _, found, terminated, truncated, _ = env.step(env.oracle())
            over = terminated or truncated
        successes.append((found > 0) == (now == before))
        before = now
    return float(np.mean(successes))


@pytest.mark.parametrize("env_id", IDS[:3])
def test_oracle_of_the_previous_episode_earns_chance(env_id: str):
    settings: dict[str, Any] = {"sizes": [7]} if env_id.startswith("Goal") else {}
    assert success_of_a_guess(made(env_id, **settings), 64) == pytest.approx(0.5, abs=0.25)  # four standard errors


@pytest.mark.parametrize(("env_id", "longest"), [("IMaze-v0", 12), ("PatternMatching-v0", 3)])
def test_oracle_takes_the_shortest_way(env_id: str, longest: int):
    """The corridor's whole length, two turns and the goal; a turn, or two, and the goal."""
    for seed in range(10):
        env, steps, over, reward = made(env_id, seed), 0, False, 0.0
        while not over:
            _, reward, over, _, _ = env.step(env.oracle())
            steps += 1
        assert reward == 1
        assert steps <= longest


def test_i_maze_has_the_lengths_that_are_asked_for():
    env, found = made("IMaze-v0", lengths=[2, 5]), set()
    for _ in range(20):
        env.reset()
        found.add(int((env.walkers.cells[0, 2] == FLOOR).sum() - 1))  # the floor between the goals is one more
        kind = int(env.walkers.cells[0, 2, 1])
        assert kind - FIRST_CUE == env.walkers.goal[0] - FIRST_GOAL
    assert found == {2, 5}
    assert made("IMaze-v0", lengths=40).world.step_limit == 270
    assert made("IMaze-v0").world.step_limit == 84


def test_patterns_are_split_and_the_same_in_half_of_all_episodes():
    train, test = (set(split(name).tolist()) for name in ("train", "test"))
    assert (len(train), len(test), train & test, len(set(split("all").tolist()))) == (250, 250, set(), 512)
    env, alike = made("PatternMatching-v0", patterns="test"), []
    for _ in range(200):
        env.reset()
        rooms = [env.walkers.cells[0, 1:4, place] for place in (slice(1, 4), slice(-4, -1))]
        same = bool((rooms[0] == rooms[1]).all())
        assert env.walkers.goal[0] == (FIRST_GOAL if same else SECOND_GOAL)
        shown = [int(((room - FIRST_CUE).ravel() << np.arange(9)).sum()) for room in rooms]
        assert set(shown) <= test
        alike.append(same)
    assert np.mean(alike) == pytest.approx(0.5, abs=0.15)  # four standard errors
    assert tiles(0b101).tolist() == [[1, 0, 1], [0, 0, 0], [0, 0, 0]]
    assert {int(kind) for kind in env.walkers.cells[0, 1:4, 1:4].ravel()} <= {FIRST_CUE, SECOND_CUE}


def test_room_is_seen_whole_from_the_end_of_the_corridor():
    env = made("PatternMatching-v0")
    room = env.walkers.cells[0, 1:4, 1:4]
    assert drawn(put(env, 2, 4, 3))[:3] == ["".join("ab"[kind - FIRST_CUE] for kind in row[::-1]) for row in room.T]


@pytest.mark.parametrize("size", [7, 15])
def test_maze_has_no_loops_and_no_part_that_is_cut_off(size: int):
    """A tree of n cells has n - 1 passages, and all of it is reached."""
    for seed in range(5):
        cells = passages(np.random.default_rng(seed), size)
        rooms = ((size - 1) // 2) ** 2
        assert (cells == FLOOR).sum() == 2 * rooms - 1
        reached, ahead = {(1, 1)}, [(1, 1)]
        while ahead:
            here = ahead.pop()
            for step in STEPS:
                to = (here[0] + int(step[0]), here[1] + int(step[1]))
                if cells[to] == FLOOR and to not in reached:
                    reached.add(to)
                    ahead.append(to)
        assert len(reached) == 2 * rooms - 1
        assert len(dead_ends(cells)) >= 2


def test_walker_begins_before_the_cue_and_away_from_the_goals():
    env = made("GoalSearch-S7-11-v0")
    for _ in range(30):
        observation, _ = env.reset()
        cells, place = env.walkers.cells[0], env.walkers.place[0]
        assert cells[tuple(place)] == FLOOR
        ahead = int(observation[1, 1].argmax())
        assert ahead - FIRST_CUE == env.walkers.goal[0] - FIRST_GOAL
        assert [(cells == kind).sum() for kind in (FIRST_GOAL, SECOND_GOAL)] == [1, 1]


def mazes_of(**settings: Any) -> set[bytes]:
    env, found = made("GoalSearch-S7-11-v0", **settings), set()
    for _ in range(40):
        env.reset()
        found.add(np.where(env.walkers.cells[0] == WALL, WALL, FLOOR).tobytes())
    return found


def test_mazes_for_training_and_testing_differ_and_can_be_few():
    few = mazes_of(sizes=[11], count=3)
    assert len(few) == 3
    assert not few & mazes_of(sizes=[11], count=3, mazes="test")
    assert len(mazes_of(sizes=[11])) == 40
    shown = {made("GoalSearch-S7-11-v0", seed, count=1).walkers.cells[0].tobytes() for seed in range(12)}
    assert len(shown) == 2, "one maze, with either cue"


def test_position_and_direction_are_shown_where_they_are_asked_for():
    env = made("GoalSearch-S7-11-v0", position=True)
    observation, _ = env.reset(seed=1)
    (row, column), facing = env.walkers.place[0], env.walkers.facing[0]
    np.testing.assert_allclose(observation["position"], [(row + 0.5) / 15, (column + 0.5) / 15])
    assert observation["facing"] == facing
    np.testing.assert_array_equal(observation["view"], env.walkers.view()[0])
    larger = made("GoalSearch-S13-15-v0", position=True)
    assert larger.observation_space == env.observation_space
    assert larger.world.extent == env.world.extent == 15
    assert made("GoalSearch-S7-11-v0", position=True, field=31).world.extent == 31
    assert made("GoalSearch-S7-11-v0", position=True, sizes=[21]).world.extent == 21


def test_picture_shows_the_walker_below_looking_up():
    env = made("IMaze-v0", lengths=[3], position=True)
    view = put(env, 2, 2, 1)
    picture = env.observation_picture({"view": view}, tile=2)
    assert picture.shape == (8, 6, 3)
    np.testing.assert_array_equal(picture, env.observation_picture(view, tile=2))
    assert picture[0, 0].tolist() == [205, 60, 60], "the first goal ahead, to the left"
    assert picture[-1, 2].tolist() == [235, 235, 235], "the floor below the walker"


@pytest.mark.parametrize(
    ("env_id", "settings", "message"),
    [
        ("IMaze-v0", {"lengths": []}, "IMaze: lengths is empty, expected whole numbers such as 5,7,9"),
        ("IMaze-v0", {"lengths": [5, 0]}, "lengths is 0, expected a whole number from 1 to 1000"),
        ("IMaze-v0", {"lengths": "5"}, "lengths is '5', expected a whole number"),
        ("IMaze-v0", {"start": "middle"}, "start is 'middle': choose one of 'anywhere', 'cue', 'goals'"),
        ("IMaze-v0", {"width": 4}, "width is 4, expected an odd number"),
        ("IMaze-v0", {"ahead": 0}, "ahead is 0, expected a whole number from 1 to 64"),
        ("IMaze-v0", {"field": 12}, "field is 12, expected a whole number of at least 13"),
        ("IMaze-v0", {"step_limit": 0}, "step_limit is 0, expected a whole number of at least 1"),
        ("PatternMatching-v0", {"patterns": "held out"}, "choose one of 'train', 'test', 'all'"),
        ("PatternMatching-v0", {"corridor": 4}, "corridor is 4, expected an odd number"),
        ("GoalSearch-S7-11-v0", {"sizes": [8]}, "sizes has 8, expected odd numbers"),
        ("GoalSearch-S7-11-v0", {"sizes": [5]}, "sizes is 5, expected a whole number from 7 to 101"),
        ("GoalSearch-S7-11-v0", {"mazes": "valid"}, "mazes is 'valid': choose one of 'train', 'test'"),
        ("GoalSearch-S7-11-v0", {"count": 0}, "count is 0, expected a whole number from 1 to"),
    ],
)
def test_setting_out_of_range_is_refused(env_id: str, settings: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        gym.make(env_id, **settings)
    with pytest.raises(ValueError, match=message):
        gym.make_vec(env_id, num_envs=2, **settings)


def test_step_that_cannot_be_taken_is_refused():
    env = made("IMaze-v0")
    with pytest.raises(ValueError, match=r"IMaze: action 4 is none of 0 \(turn left\), 1 \(forward\)"):
        env.step(4)
    fresh = envs.IMaze()
    for call in (fresh.oracle, lambda: fresh.step(FORWARD)):
        with pytest.raises(gym.error.ResetNeeded, match="call reset"):
            call()
