"""Environments of others: what the catalogue says of them, measured."""

import numpy as np
import pytest

from lukasa import envs

POPGYM, MINIGRID = "popgym-RepeatPreviousEasy-v0", "MiniGrid-MemoryS7-v0"


def play(env, policy, episodes):
    """(return, final info, steps) of whole episodes under policy(env, observations so far)."""
    results = []
    for episode in range(episodes):
        seen = [env.reset(seed=episode)[0]]
        total, over, info = 0.0, False, {}
        while not over:
            observation, reward, terminated, truncated, info = env.step(policy(env, seen))
            seen.append(observation)
            total, over = total + float(reward), terminated or truncated
        results.append((total, info, len(seen) - 1))
    return results


def scores(env_id, env, policy, episodes):
    return [envs.episode_score(env_id, total, info) for total, info, _ in play(env, policy, episodes)]


def toward(arm_y):
    """Policy of the S7 memory maze: east to the junction, then into the arm at that height."""

    def policy(env, _):
        maze = env.unwrapped
        if maze.agent_dir == 0 and maze.agent_pos[0] < maze.success_pos[0]:
            return maze.actions.forward
        if maze.agent_dir == 0:
            return maze.actions.left if arm_y(maze) < maze.agent_pos[1] else maze.actions.right
        return maze.actions.forward

    return policy


def looks_back_without_memory(rng):
    """A function of one observation only: at the junction it looks west, where cue and both targets are in view."""

    def policy(env, seen):
        cells = seen[-1][:-4].reshape(7, 7, 20)[..., :11].argmax(-1)  # [x, y] as the agent sees; it stands at (3, 6)
        direction, wall, objects = int(seen[-1][-4:].argmax()), 2, (5, 6)
        left, right, forward = 0, 1, 2
        free_ahead = cells[3, 5] != wall
        if direction == 1:  # south: mostly only passing through
            return forward if free_ahead and rng.random() < 0.1 else right
        if direction != 2:
            return forward if free_ahead else right
        at_junction = cells[1, 6] in objects and cells[5, 6] in objects
        cue = [kind for kind in cells[:, :6].ravel() if kind in objects]
        return left if at_junction and cells[1, 6] == cue[0] else right

    return policy


def test_popgym_answer_is_three_cards_back_and_earns_the_listed_best():
    pytest.importorskip("popgym", reason="the extra envs is not installed")
    results = play(envs.make(POPGYM), lambda _, seen: seen[-4] if len(seen) > 3 else 0, 3)
    assert [total for total, _, _ in results] == pytest.approx([envs.ENVIRONMENTS[POPGYM].best] * 3)
    assert {steps for *_, steps in results} == {51}


def test_popgym_random_answers_earn_the_listed_chance():
    pytest.importorskip("popgym", reason="the extra envs is not installed")
    rng = np.random.default_rng(0)
    returns = scores(POPGYM, envs.make(POPGYM), lambda *_: int(rng.integers(4)), 100)
    assert np.mean(returns) == pytest.approx(envs.ENVIRONMENTS[POPGYM].chance, abs=0.05)


def test_minigrid_memory_oracle_succeeds_always_and_its_opposite_never():
    pytest.importorskip("minigrid", reason="the extra envs is not installed")
    env = envs.make(MINIGRID)
    assert (
        scores(MINIGRID, env, toward(lambda maze: maze.success_pos[1]), 20) == [envs.ENVIRONMENTS[MINIGRID].best] * 20
    )
    assert scores(MINIGRID, env, toward(lambda maze: maze.failure_pos[1]), 20) == [0.0] * 20


def test_minigrid_memory_blind_turn_earns_the_listed_chance():
    pytest.importorskip("minigrid", reason="the extra envs is not installed")
    success = scores(MINIGRID, envs.make(MINIGRID), toward(lambda _: 0), 300)
    assert np.mean(success) == pytest.approx(envs.ENVIRONMENTS[MINIGRID].chance, abs=0.12)  # four standard errors


def test_minigrid_memory_with_the_full_view_can_be_solved_by_looking_back():
    pytest.importorskip("minigrid", reason="the extra envs is not installed")
    success = scores(MINIGRID, envs.make(MINIGRID), looks_back_without_memory(np.random.default_rng(0)), 150)
    assert np.mean(success) > 0.88


def test_minigrid_memory_view_of_three_hides_the_cue_from_the_junction():
    pytest.importorskip("minigrid", reason="the extra envs is not installed")
    env = envs.make(MINIGRID, agent_view_size=3)
    for seed in range(10):
        env.reset(seed=seed)
        maze = env.unwrapped
        assert maze.grid.get(1, 2).type in ("key", "ball")
        for x in (4, 5):
            for direction in range(4):
                maze.agent_pos, maze.agent_dir = np.array((x, 3)), direction
                assert not maze.in_view(1, 2)
    assert env.observation_space.shape == (3 * 3 * 20 + 4,)


def test_minigrid_view_is_one_hot_and_loses_nothing():
    pytest.importorskip("minigrid", reason="the extra envs is not installed")
    env = envs.make(MINIGRID)
    vector, _ = env.reset(seed=3)
    observation = env.unwrapped.gen_obs()
    assert env.observation_space.contains(vector)
    assert vector.shape == (984,)
    cells, direction = vector[:-4].reshape(7, 7, 20), vector[-4:]
    decoded = np.stack([cells[..., :11].argmax(-1), cells[..., 11:17].argmax(-1), cells[..., 17:].argmax(-1)], axis=-1)
    np.testing.assert_array_equal(decoded, observation["image"])
    assert direction.argmax() == observation["direction"]
    assert vector.sum() == 7 * 7 * 3 + 1


def test_one_hot_widths_are_minigrids_own():
    constants = pytest.importorskip("minigrid.core.constants", reason="the extra envs is not installed")
    from lukasa.envs import symbolic_grid

    assert len(constants.OBJECT_TO_IDX) == symbolic_grid.OBJECTS
    assert len(constants.COLOR_TO_IDX) == symbolic_grid.COLORS
    assert len(constants.STATE_TO_IDX) == symbolic_grid.STATES
    assert len(constants.DIR_TO_VEC) == symbolic_grid.DIRECTIONS


def test_minigrid_vector_version_is_encoded_too():
    pytest.importorskip("minigrid", reason="the extra envs is not installed")
    env = envs.make_vec(MINIGRID, 2)
    assert env.reset(seed=0)[0].shape == (2, 984)


def test_minigrid_setting_that_does_not_exist_is_refused():
    pytest.importorskip("minigrid", reason="the extra envs is not installed")
    with pytest.raises(ValueError, match=r"does not take the settings {'view': 3}.*unexpected keyword argument 'view'"):
        envs.make(MINIGRID, view=3)


def test_encoding_refuses_another_observation():
    with pytest.raises(ValueError, match="expected a dict observation with image and direction, not Box"):
        envs.SymbolicGrid(envs.make("CartPole-v1"))
