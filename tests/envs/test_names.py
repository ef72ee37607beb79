"""Ids that cannot be made are refused with what is missing, or with the one that was meant."""

import doctest
import importlib.util

import pytest

import lukasa.envs.names
from lukasa import envs


@pytest.mark.parametrize(
    ("env_id", "package", "command"),
    [
        ("popgym-LabyrinthEscapeEasy-v0", "mazelib", "pip install 'popgym[navigation]'"),
        ("popgym-LabyrinthExploreHard-v0", "mazelib", "pip install 'popgym[navigation]'"),
        ("ALE/Pong-v5", "ale_py", "pip install 'gymnasium[atari]'"),
        ("PongNoFrameskip-v4", "ale_py", "pip install 'gymnasium[atari]'"),
        ("LunarLander-v3", "Box2D", "pip install swig 'gymnasium[box2d]'"),
        ("HalfCheetah-v5", "mujoco", "pip install 'gymnasium[mujoco]'"),
        ("phys2d/CartPole-v1", "jax", "pip install 'gymnasium[jax]'"),
    ],
)
@pytest.mark.parametrize("settings", [{}, {"max_episode_steps": 9}])
def test_missing_package_is_named_with_how_to_get_it(env_id, package, command, settings):
    if importlib.util.find_spec(package):
        pytest.skip(f"{package} is installed")
    with pytest.raises(envs.MissingExtraError) as refused:
        envs.make(env_id, **settings)
    assert f"needs the package {package}, which is not installed: install it with {command}" in str(refused.value)


@pytest.mark.parametrize(
    ("env_id", "hint"),
    [
        ("CartPole-v9", "there are versions v0 and v1: did you mean 'CartPole-v1'?"),
        ("cartpole-v1", "did you mean 'CartPole-v1'?"),
        ("CartPole", "did you mean 'CartPole-v1'?"),
        ("frozenlake", "did you mean 'FrozenLake-v1'?"),
        ("LunarLander-v2", "did you mean 'LunarLander-v3'?"),
        ("minigrid-empty-5x5-v0", "did you mean 'MiniGrid-Empty-5x5-v0'?"),
        ("MiniGrid-Empty-5x5-v3", "did you mean 'MiniGrid-Empty-5x5-v0'?"),
        ("babyai-gotoobj-v0", "did you mean 'BabyAI-GoToObj-v0'?"),
        ("popgym-repeatpreviouseasy-v0", "did you mean 'popgym-RepeatPreviousEasy-v0'?"),
        ("TMaze-L50", "did you mean 'TMaze-L50-v0'?"),
        ("Qqqqqq", "lukasa list envs names some"),
    ],
)
def test_unknown_id_gets_the_one_that_was_meant(env_id, hint):
    pytest.importorskip("minigrid")
    with pytest.raises(envs.UnknownEnvironmentError) as refused:
        envs.make(env_id)
    assert hint in str(refused.value)


def test_environment_that_moved_is_refused_in_one_sentence():
    with pytest.raises(envs.MissingExtraError, match="gymnasium-robotics"):
        envs.make("Ant-v2")


def test_deprecated_version_is_made():
    envs.make("CartPole-v0").close()


def test_examples_in_docstrings_hold():
    assert doctest.testmod(lukasa.envs.names).failed == 0
