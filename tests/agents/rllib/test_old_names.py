"""Checkpoints whose pickles name our classes as they were called before."""

import pickle
import sys
import types

import pytest

from lukasa import envs
from lukasa.agents.policy.settings import MemorySettings
from lukasa.agents.rllib import MemoryPPOConfig, MemoryRLModule, old_names, rollout


def test_old_names_are_there_inside_and_users_own_are_back_outside(monkeypatch):
    own = types.ModuleType("envs")
    monkeypatch.setitem(sys.modules, "envs", own)
    with old_names():
        assert sys.modules["envs"] is envs
        assert sys.modules["agents.rllib.module"].MemoryRLModule is MemoryRLModule
    assert sys.modules["envs"] is own
    assert "agents.rllib.module" not in sys.modules


def test_a_failure_inside_brings_users_own_back_too(monkeypatch):
    own = types.ModuleType("tasks")
    monkeypatch.setitem(sys.modules, "tasks", own)
    with pytest.raises(EOFError), old_names():
        raise EOFError
    assert sys.modules["tasks"] is own


@pytest.mark.parametrize("named", [MemoryPPOConfig, MemoryRLModule, MemorySettings])
def test_an_old_pickle_finds_todays_class(named, monkeypatch):
    with old_names(), monkeypatch.context() as renamed:
        renamed.setattr(named, "__module__", named.__module__.removeprefix("lukasa."))
        written = pickle.dumps(named)
    assert b"lukasa" not in written
    with old_names():
        assert pickle.loads(written) is named


@pytest.mark.parametrize("before", ["", "lukasa."])
def test_an_old_pickle_finds_a_class_whose_module_has_moved(before):
    written = pickle.dumps(MemorySettings, protocol=0).replace(
        b"lukasa.agents.policy", f"{before}agents.rllib".encode()
    )
    with pytest.raises(ModuleNotFoundError):
        pickle.loads(written)
    with old_names():
        assert pickle.loads(written) is MemorySettings
    with pytest.raises(ModuleNotFoundError):
        pickle.loads(written)


@pytest.mark.ray
def test_an_old_checkpoint_of_rllib_plays_as_it_did(ray_cluster, tmp_path, monkeypatch):
    config = MemoryPPOConfig().environment("RepeatPrevious-k1-v0").env_runners(num_env_runners=0)
    algorithm = config.memory(core="gru", size=4).build_algo()
    expected = rollout(algorithm, "RepeatPrevious-k1-v0", 2, seed=1)
    with old_names(), monkeypatch.context() as renamed:
        for name, module in list(sys.modules.items()):
            if name.startswith("lukasa.agents.rllib"):
                for one in vars(module).values():
                    if isinstance(one, type) and one.__module__ == name:
                        renamed.setattr(one, "__module__", name.removeprefix("lukasa."))
        algorithm.save_to_path(tmp_path)
    algorithm.stop()
    saved = tmp_path / "learner_group" / "learner" / "rl_module" / "default_policy" / "class_and_ctor_args.pkl"
    assert b"lukasa" not in saved.read_bytes()
    found = rollout(tmp_path, "RepeatPrevious-k1-v0", 2, seed=1)
    assert [one.episode_return for one in found] == [one.episode_return for one in expected]
