import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

from lukasa import envs
from lukasa.envs.tmaze import TMazeVector


def test_unknown_id_names_the_nearest_one():
    with pytest.raises(envs.UnknownEnvironmentError, match="'TMaze-L51-v0': did you mean 'TMaze-L50-v0'"):
        envs.make("TMaze-L51-v0")
    with pytest.raises(envs.UnknownEnvironmentError, match="did you mean 'RepeatPrevious-k4-v0'"):
        envs.make_vec("RepeatPrevios-k4-v0", 2)
    with pytest.raises(envs.UnknownEnvironmentError, match=r"lukasa list envs names some"):
        envs.make("@@@")


def test_unknown_environment_is_a_value_error_and_missing_extra_an_import_error():
    assert issubclass(envs.UnknownEnvironmentError, ValueError)
    assert issubclass(envs.MissingExtraError, ImportError)


@pytest.mark.parametrize(
    ("env_id", "package"), [("popgym-RepeatPreviousEasy-v0", "popgym"), ("MiniGrid-MemoryS7-v0", "minigrid")]
)
def test_missing_extra_is_named(monkeypatch, env_id, package):
    monkeypatch.setitem(sys.modules, package, None)  # how Python marks a module that cannot be imported
    sentence = rf"needs the package {package}, which is not installed: install it with pip install 'lukasa\[envs\]'"
    with pytest.raises(envs.MissingExtraError, match=sentence):
        envs.make(env_id)
    with pytest.raises(envs.MissingExtraError, match=sentence):
        envs.make_vec(env_id, 2)


def test_package_missing_behind_another_environment_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "Box2D", None)
    monkeypatch.delitem(sys.modules, "gymnasium.envs.box2d", raising=False)
    with pytest.raises(envs.MissingExtraError, match="'LunarLander-v3' needs the package Box2D"):
        envs.make("LunarLander-v3")


def test_id_may_name_a_module_to_import(tmp_path, monkeypatch):
    module = tmp_path / "my_mazes.py"
    module.write_text(
        "import gymnasium as gym\n"
        "gym.register('MyMaze-v0', entry_point='lukasa.envs.tmaze:TMaze', kwargs={'corridor': 3})\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    env = envs.make("my_mazes:MyMaze-v0")
    assert env.unwrapped.corridor == 3
    assert envs.make_vec("my_mazes:MyMaze-v0", 2).num_envs == 2
    del gym.registry["MyMaze-v0"]
    with pytest.raises(envs.UnknownEnvironmentError, match="there is no module 'no_such_module' to import"):
        envs.make("no_such_module:MyMaze-v0")


@pytest.mark.parametrize("make", [envs.make, lambda env_id, **settings: envs.make_vec(env_id, 2, **settings)])
def test_unknown_setting_names_the_nearest_one(make):
    with pytest.raises(ValueError, match="'RepeatPrevious-k4-v0' has no setting 'symbol': did you mean 'symbols'"):
        make("RepeatPrevious-k4-v0", symbol=4)
    with pytest.raises(ValueError, match="has no setting 'zzz': it has corridor, step_limit"):
        make("TMaze-L50-v0", zzz=1)


def test_program_of_others_may_take_settings_that_its_single_environment_has_not():
    def program(num_envs=1, **settings):
        speed = settings.pop("speed", 1)
        maze = TMazeVector(num_envs, **settings)
        maze.speed = speed
        return maze

    gym.register("OthersMaze-v0", entry_point="lukasa.envs.tmaze:TMaze", vector_entry_point=program)
    try:
        assert envs.make_vec("OthersMaze-v0", 2, speed=3, corridor=4).speed == 3
    finally:
        del gym.registry["OthersMaze-v0"]


def test_programs_that_hand_settings_on_name_the_nearest_one():
    with pytest.raises(ValueError, match="has no setting 'lenths': did you mean 'lengths'"):
        envs.make_vec("IMaze-v0", 2, lenths=(3,))


def test_settings_reach_single_and_vector_versions():
    assert envs.make("TMaze-L50-v0", corridor=70).unwrapped.corridor == 70
    assert envs.make_vec("TMaze-L50-v0", 3, corridor=70).corridor == 70
    assert envs.make_vec("RepeatPrevious-k4-v0", 3, symbols=6).single_action_space == gym.spaces.Discrete(6)


def test_gymnasium_settings_are_passed_on():
    env = envs.make("TMaze-L50-v0", max_episode_steps=3)
    env.reset(seed=0)
    assert [env.step(1)[3] for _ in range(3)] == [False, False, True]


def test_vector_program_is_used_where_there_is_one():
    assert isinstance(envs.make_vec("TMaze-L50-v0", 2), envs.TMazeVector)
    assert isinstance(envs.make_vec("MountainCar-v0", 2).unwrapped, gym.vector.SyncVectorEnv)


@pytest.mark.parametrize("env_id", ["TMaze-L50-v0", "MountainCar-v0"])
@pytest.mark.parametrize("num_envs", [0, 1.5])
def test_number_of_copies_is_checked(env_id, num_envs):
    with pytest.raises(ValueError, match=r"num_envs is .*, expected a whole number of at least 1"):
        envs.make_vec(env_id, num_envs)


def test_registering_again_changes_nothing():
    before = gym.spec("TMaze-L50-v0")
    envs.register_environments()
    assert gym.spec("TMaze-L50-v0") is before


def test_score_is_success_for_mazes_and_the_return_otherwise():
    assert envs.score_unit("TMaze-L50-v0") == envs.score_unit("MiniGrid-MemoryS7-v0") == "success rate"
    assert envs.score_unit("RepeatPrevious-k4-v0") == envs.score_unit("CartPole-v1") == "return"
    assert envs.episode_score("TMaze-L50-v0", -0.4, {"success": True}) == 1.0  # a success after many a bump
    assert envs.episode_score("TMaze-L50-v0", 0.0, {"success": False}) == 0.0
    assert envs.episode_score("MiniGrid-MemoryS7-v0", 0.93, {}) == 1.0
    assert envs.episode_score("MiniGrid-MemoryS7-v0", 0.0, {}) == 0.0
    assert envs.episode_score("RepeatPrevious-k4-v0", -0.5, {}) == -0.5
    assert envs.episode_score("CartPole-v1", 200.0, {}) == 200.0


def test_page_lists_every_environment_with_best_and_chance():
    page = (Path(__file__).parents[2] / "docs" / "environments.md").read_text()
    for env in envs.ENVIRONMENTS.values():
        extra = f"`{env.extra}`" if env.extra else ""
        row = [f"`{env.id}`", env.description, f"{env.best:g}", f"{env.chance:g}", env.score_unit, extra]
        assert "| " + " | ".join(row).rstrip() in page


def test_chance_level_follows_from_the_settings():
    for env in envs.ENVIRONMENTS.values():
        if env.id.startswith("RepeatPrevious"):
            assert env.chance == 2 / env.settings["symbols"] - 1
            assert np.isclose(env.settings["length"] - env.settings["k"], 48)
