"""Planning over remembered transitions is value iteration over what was seen."""

import numpy as np
import pytest
import torch

from lukasa.agents.rllib.episodic.planning import Model, Transitions, joined, plan, transitions_of
from lukasa.agents.rllib.episodic.returns import Last, Steps
from lukasa.memory.sparse import NeuralDictionary

STATES, ACTIONS, GAMMA = 6, 2, 0.9


def a_world(seed=0):
    """Deterministic: next states, rewards and whether it ends there, by state and action."""
    generator = np.random.default_rng(seed)
    following = generator.integers(STATES, size=(STATES, ACTIONS))
    return following, generator.normal(size=(STATES, ACTIONS)), generator.random((STATES, ACTIONS)) < 0.15


def every_transition(following, rewards, ended):
    states, actions = (torch.from_numpy(part.ravel()) for part in np.indices((STATES, ACTIONS)))
    keys = torch.eye(STATES, dtype=torch.float64)
    flat = [torch.from_numpy(part.ravel()) for part in (following, rewards, ended)]
    return Transitions(keys[states], actions, flat[1], keys[flat[0]], flat[2])


def by_value_iteration(following, rewards, ended):
    """Q of the world, in loops."""
    values = np.zeros((STATES, ACTIONS))
    for _ in range(500):
        for state in range(STATES):
            for action in range(ACTIONS):
                after = 0.0 if ended[state, action] else max(values[following[state, action]])
                values[state, action] = rewards[state, action] + GAMMA * after
    return values


def remembered(neighbours=1, slots=100, **options):
    made = {"dictionaries": ACTIONS, "neighbours": neighbours, "rule": "every", "delta": 1e-9, "dtype": torch.float64}
    return Model(NeuralDictionary(STATES, slots, **{**made, **options}))


def planned(model, sweeps=500, backups=1000):
    plan(model, GAMMA, sweeps, backups, torch.Generator().manual_seed(0))
    return model.dictionary(torch.eye(STATES, dtype=torch.float64)).detach().numpy()


def test_plans_are_the_values_of_the_world():
    world = a_world()
    model = remembered()
    model.add(every_transition(*world))
    np.testing.assert_allclose(planned(model), by_value_iteration(*world), rtol=1e-5, atol=1e-6)


def test_a_few_backups_at_a_time_get_there_as_well():
    world = a_world(1)
    model = remembered()
    model.add(every_transition(*world))
    generator = torch.Generator().manual_seed(0)
    for _ in range(300):
        plan(model, GAMMA, 2, 5, generator)
    values = model.dictionary(torch.eye(STATES, dtype=torch.float64)).detach().numpy()
    np.testing.assert_allclose(values, by_value_iteration(*world), rtol=1e-4, atol=1e-5)


def test_several_outcomes_of_one_action_are_averaged():
    model = remembered(neighbours=4)
    keys = torch.eye(STATES, dtype=torch.float64)
    rewards = torch.tensor([1.0, 0.0, 0.0, 3.0], dtype=torch.float64)
    ended = torch.ones(4, dtype=torch.bool)
    model.add(Transitions(keys[[0] * 4], torch.zeros(4, dtype=torch.int64), rewards, keys[[1] * 4], ended))
    assert planned(model)[0, 0] == pytest.approx(1.0)


def test_what_was_never_tried_is_worth_what_is_unknown():
    model = remembered(unknown=2.0, unknown_distance=0.1, delta=1e-3)
    keys = torch.eye(STATES, dtype=torch.float64)
    step = Transitions(keys[:1], torch.tensor([0]), torch.zeros(1).double(), keys[1:2], torch.tensor([False]))
    model.add(step)
    values = planned(model)
    assert values[0, 1] == 2.0  # no transition of this action at all
    assert values[3, 0] == pytest.approx(2.0, abs=0.02)  # the only one is far away
    # one try weighs 1 / 0.001, what is unknown 1 / (0.01 + 0.001)
    assert values[0, 0] == pytest.approx((1000 * GAMMA * 2.0 + 2.0 / 0.011) / (1000 + 1 / 0.011), rel=1e-3)


def test_transitions_are_kept_in_a_file(tmp_path):
    model = remembered()
    model.add(every_transition(*a_world()))
    model.dictionary.save(tmp_path / "dictionary")
    model.save(tmp_path / "model")
    other = Model(NeuralDictionary.load(tmp_path / "dictionary"))
    other.load(tmp_path / "model")
    assert torch.equal(other.next_keys, model.next_keys)
    assert torch.equal(other.ended, model.ended)
    np.testing.assert_allclose(planned(other), planned(model), rtol=1e-6)
    (tmp_path / "model").write_bytes((tmp_path / "model").read_bytes()[:-3])
    with pytest.raises(ValueError, match="model holds no transitions, or was cut short"):
        other.load(tmp_path / "model")
    model.save(tmp_path / "model")
    with pytest.raises(ValueError, match="is not of the dictionaries beside it"):
        remembered().load(tmp_path / "model")


def test_the_last_step_of_a_fragment_leads_to_the_observation_after_it():
    keys = torch.arange(3.0).unsqueeze(1)
    steps = Steps(keys, torch.zeros(3, dtype=torch.int64), np.arange(3.0), torch.zeros(3, dtype=torch.int64))
    found = transitions_of(steps, Last(torch.tensor([9.0])), terminated=True)
    assert found.next_keys.flatten().tolist() == [1.0, 2.0, 9.0]
    assert found.ended.tolist() == [False, False, True]
    assert not transitions_of(steps, Last(torch.tensor([9.0])), terminated=False).ended.any()


def test_plans_do_not_hope_for_actions_that_are_not_allowed(tmp_path):
    """From 0 to 1, where the first action is worth nothing and the second, if it were allowed, what is unknown."""
    keys, nothing = torch.eye(STATES, dtype=torch.float64), torch.zeros(2, dtype=torch.int64)
    for allowed, worth in ((torch.tensor([True, True]), 5.0), (torch.tensor([True, False]), 0.0)):
        model = remembered(unknown=5.0, unknown_distance=1.0, delta=1e-9)
        found = transitions_of(
            Steps(keys[:2], nothing, np.zeros(2), nothing, torch.stack([allowed, allowed])),
            Last(keys[2], torch.tensor([True, True])),
            terminated=True,
        )
        model.add(joined([found]))
        assert planned(model)[0, 0] == pytest.approx(GAMMA * worth, abs=1e-6)
        model.dictionary.save(tmp_path / "dictionary")
        model.save(tmp_path / "model")
        other = Model(NeuralDictionary.load(tmp_path / "dictionary"))
        other.load(tmp_path / "model")
        assert torch.equal(other.barred, model.barred)
