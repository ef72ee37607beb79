"""What ``register_environment`` promises: runners in other processes know the environment."""

import threading

import gymnasium as gym
import pytest
import ray
from gymnasium.spaces import Discrete
from ray.tune.registry import ENV_CREATOR, _global_registry

from lukasa import envs
from lukasa.agents.rllib import register_environment


def local_class():
    """A class as a script has it: no other process can import it."""

    class Scripted(gym.Env):
        observation_space, action_space = Discrete(3), Discrete(2)

        def __init__(self, shown=1):
            self.shown = shown

        def reset(self, *, seed=None, options=None):
            return self.shown, {}

        def step(self, action):
            return self.shown, 0.0, True, False, {}

    return Scripted


@ray.remote
def first_observations(name, copies=None):
    """What another process sees of a registered environment."""
    env = _global_registry.get(ENV_CREATOR, name)({} if copies is None else {"num_envs": copies})
    return env.reset()[0].tolist()


@pytest.mark.ray
def test_class_of_a_script_reaches_other_processes(ray_cluster):
    name = register_environment(local_class(), shown=2)
    assert ray.get(first_observations.remote(name)) == 2
    assert ray.get(first_observations.remote(name, copies=3)) == [2, 2, 2]


@pytest.mark.ray
def test_registration_of_a_script_reaches_other_processes(ray_cluster):
    gym.register("WrittenInAScript-v3", entry_point=local_class(), kwargs={"shown": 0})
    try:
        assert ray.get(first_observations.remote(register_environment("WrittenInAScript-v3"))) == 0
    finally:
        del gym.registry["WrittenInAScript-v3"]


@pytest.mark.ray
def test_class_of_a_module_is_named_by_it(ray_cluster):
    name = register_environment(envs.RepeatPrevious)
    assert name == "lukasa.envs.repeat_previous:RepeatPrevious"
    assert isinstance(ray.get(first_observations.remote(name)), int)


@pytest.mark.ray
def test_what_cannot_travel_says_what_to_do(ray_cluster):
    lock, scripted = threading.Lock(), local_class()

    def guarded():
        with lock:
            return scripted()

    name = register_environment(guarded)
    assert _global_registry.get(ENV_CREATOR, name)({}).reset()[0] == 1
    with pytest.raises(ray.exceptions.RayTaskError, match="put it in a module of its own and name it 'module:Id'"):
        ray.get(first_observations.remote(name))


def test_names_that_cannot_be_registered_are_refused():
    with pytest.raises(ValueError, match="has no name to register it by"):
        register_environment(lambda: local_class()())
    taken = type("CartPole-v1", (local_class(),), {})
    taken.__qualname__ = "CartPole"
    gym.registry["CartPole"] = gym.registry["CartPole-v1"]
    try:
        with pytest.raises(ValueError, match="the name 'CartPole' belongs to another environment"):
            register_environment(taken)
    finally:
        del gym.registry["CartPole"]
