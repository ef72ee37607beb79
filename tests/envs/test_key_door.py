"""Two rooms, a key and a door."""

import numpy as np
import pytest

from lukasa import envs
from lukasa.envs.key_door import EAST, NORTH, SOUTH, WEST


def at(env, row, column, has_key=False):
    env._row, env._column, env._has_key = row, column, has_key


def test_the_door_opens_for_who_has_the_key():
    env = envs.KeyDoor(size=3)
    env.reset(seed=0)
    at(env, 1, 2)
    assert env.step(EAST)[0].tolist() == [0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0]
    at(env, 0, 1)
    assert env.step(WEST)[0][-1] == 1  # the key is taken where it lies
    at(env, 0, 2, True)
    assert env.step(EAST)[0][2 + 3] == 1  # a wall beside the door stays one
    at(env, 1, 2, True)
    assert env.step(EAST)[0][3 + 3] == 1
    assert env.step(NORTH)[0][1] == 1  # no way out of the door but through it
    assert env.step(EAST)[0][3 + 4] == 1
    at(env, 1, 6, True)
    assert env.step(SOUTH)[1:] == (1.0, True, False, {"success": True})


def test_the_oracle_takes_the_shortest_way():
    """As breadth-first search over cells and the key finds it, from every cell of the first room."""
    env = envs.KeyDoor(size=4)
    for start in range(1, 16):
        env.reset(seed=0)
        at(env, *divmod(start, 4))
        seen, edge, steps = {(*divmod(start, 4), False)}, [(*divmod(start, 4), False)], 0
        while not any(where[:2] == (3, 8) for where in edge):
            following = set()
            for where in edge:
                for action in range(4):
                    env._over = False
                    at(env, *where)
                    env.step(action)
                    following.add((env._row, env._column, env._has_key))
            edge, steps = list(following - seen), steps + 1
            seen |= following
        env.reset(seed=0)
        at(env, *divmod(start, 4))
        taken, over = 0, False
        while not over:
            over, taken = env.step(env.oracle())[2], taken + 1
        assert taken == steps


@pytest.mark.parametrize("size", [4, 8])
def test_moves_at_random_earn_the_listed_chance(size):
    known = envs.ENVIRONMENTS[f"KeyDoor-S{size}-v0"]
    env, generator, successes = envs.make_vec(known.id, 1000), np.random.default_rng(0), []
    env.reset(seed=0)
    for _ in range(100 * size):  # about four episodes of each copy
        _, _, terminated, truncated, _ = env.step(generator.integers(4, size=1000))
        successes += terminated[terminated | truncated].tolist()
    assert np.mean(successes) == pytest.approx(known.chance, abs=0.015)


def test_settings_out_of_range_are_refused():
    with pytest.raises(ValueError, match="KeyDoor: size is 1, expected a whole number of at least 2"):
        envs.KeyDoor(size=1)
    with pytest.raises(ValueError, match="KeyDoor: step_limit is 16, expected a whole number of at least 17"):
        envs.KeyDoor(size=4, step_limit=16)
    env = envs.KeyDoor()
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"action 4 is not 0 \(north\)"):
        env.step(4)
