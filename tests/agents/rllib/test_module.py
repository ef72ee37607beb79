import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete, MultiDiscrete
from ray.rllib.core.columns import Columns

from lukasa import memory
from lukasa.agents.rllib import MemoryRLModule, MemorySettings
from lukasa.agents.rllib import module as module_file
from lukasa.agents.rllib.module import EPISODE_START
from lukasa.memory.baselines import GRU

OPTIONS = {
    "ntm": {"slots": 8, "word_size": 4, "controller_size": 16},
    "dnc": {"slots": 8, "word_size": 4, "read_heads": 2, "controller_size": 16},
}
ACTIONS = {
    "discrete": Discrete(3),
    "multi-discrete": MultiDiscrete([2, 3]),
    "continuous": Box(-1.0, 1.0, (2,), np.float32),
}


class OwnCore(GRU):
    """A core from outside the memory package."""


def make_module(action_space=ACTIONS["discrete"], core="ntm", inference_only=False, **settings):
    torch.manual_seed(0)
    config = MemorySettings(core=core, core_options=OPTIONS.get(core, {}), **settings).to_dict()
    return MemoryRLModule(
        observation_space=Discrete(4),
        action_space=action_space,
        inference_only=inference_only,
        model_config={**config, "max_seq_len": 6},
    )


def make_batch(module, rows=5, steps=6, start=True):
    generator = torch.Generator().manual_seed(1)
    initial = {name: torch.as_tensor(part) for name, part in module.get_initial_state().items()}
    state = {name: part.expand(rows, *part.shape).clone() for name, part in initial.items()}
    state[EPISODE_START] = torch.full((rows,), start)
    return {Columns.OBS: torch.randint(4, (rows, steps), generator=generator), Columns.STATE_IN: state}


@pytest.mark.parametrize("core", memory.CORES)
def test_any_core_runs_step_by_step_as_over_a_sequence(core):
    module = make_module(core=core)
    batch = make_batch(module)
    whole = module.forward_train(batch)[Columns.ACTION_DIST_INPUTS]
    state, steps = batch[Columns.STATE_IN], []
    for step in range(6):
        outputs = module.forward_exploration(
            {Columns.OBS: batch[Columns.OBS][:, step : step + 1], Columns.STATE_IN: state}
        )
        state = outputs[Columns.STATE_OUT]
        assert not state[EPISODE_START].any()
        steps.append(outputs[Columns.ACTION_DIST_INPUTS])
    assert torch.allclose(torch.cat(steps, 1), whole, atol=1e-6)


@pytest.mark.parametrize("core", ["ntm", "dnc", "mann"])
def test_weights_that_are_synchronised_take_effect_at_the_next_step(core):
    module, other = make_module(core=core), make_module(core=core)
    batch, found = make_batch(module, steps=1, start=False), []
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(0.1)
        for _ in range(2):
            found.append(module.forward_exploration(batch)[Columns.ACTION_DIST_INPUTS])
        module.set_state(other.get_state())
        found += [one.forward_exploration(batch)[Columns.ACTION_DIST_INPUTS] for one in (module, other)]
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[1], found[2])
    assert torch.equal(found[2], found[3])


@pytest.mark.parametrize("name", ACTIONS)
def test_actions_are_drawn_from_the_space(name):
    space = ACTIONS[name]
    module = make_module(space)
    outputs = module.forward_exploration(make_batch(module))
    distribution = module.get_exploration_action_dist_cls().from_logits(outputs[Columns.ACTION_DIST_INPUTS])
    actions = distribution.sample()
    assert distribution.logp(actions).shape == (5, 6)
    if name != "continuous":  # RLlib clips what a Gaussian draws on the way to the environment
        assert all(space.contains(action.numpy()) for action in actions.flatten(0, 1))


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (gym.spaces.Text(3), "action space Text.* is not supported: use Discrete"),
        (gym.spaces.Tuple([Discrete(2), gym.spaces.OneOf([Discrete(2)])]), "part OneOf.* of action space Tuple"),
        (gym.spaces.Tuple([]), "is empty"),
        (Box(-1.0, 1.0, (0,)), "leaves nothing to decide"),
        (Discrete(10**9), "would put out 1,000,000,000 numbers a step, and at most 1,000,000"),
        (Box(-1.0, 1.0, (2,), np.longdouble), "is not supported"),
    ],
)
def test_unsupported_action_space_is_named(space, message):
    with pytest.raises(ValueError, match=message):
        make_module(space)


def test_first_policy_is_close_to_uniform():
    module = make_module()
    logits = module.forward_exploration(make_batch(module))[Columns.ACTION_DIST_INPUTS]
    assert (logits.softmax(-1) - 1 / 3).abs().max() < 0.01


def test_rows_at_an_episode_start_ignore_the_state_they_came_with():
    module = make_module()
    fresh, stale = make_batch(module), make_batch(module)
    stale[Columns.STATE_IN]["memory"].fill_(torch.nan)
    expected = module.forward_train(fresh)[Columns.EMBEDDINGS]
    assert torch.equal(module.forward_train(stale)[Columns.EMBEDDINGS], expected)
    stale[Columns.STATE_IN][EPISODE_START][2] = False
    assert module.forward_train(stale)[Columns.EMBEDDINGS][2].isnan().any()


def test_learned_initial_state_gets_its_gradient_where_episodes_start():
    module = make_module()
    for start in (True, False):
        module.zero_grad()
        module.forward_train(make_batch(module, start=start))[Columns.EMBEDDINGS].square().sum().backward()
        assert bool(module.core.initial_reads.grad.any()) is start


def test_loss_values_reach_the_core_and_advantage_values_do_not():
    module = make_module()
    batch = make_batch(module)
    embeddings = module.forward_train(batch)[Columns.EMBEDDINGS]
    with_gradient = module.compute_values(batch, embeddings)
    without = module.compute_values(batch)
    assert with_gradient.shape == (5, 6)
    assert torch.allclose(with_gradient, without, atol=1e-6)
    without.sum().backward()
    assert module.core.output.weight.grad is None
    with_gradient.sum().backward()
    assert module.core.output.weight.grad.any()


def test_large_batches_are_valued_in_pieces(monkeypatch):
    module = make_module()
    batch = make_batch(module)
    expected, seen = module.compute_values(batch), []
    monkeypatch.setattr(module_file, "VALUE_ROWS", 2)
    module.net.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0][Columns.OBS])))
    assert torch.allclose(module.compute_values(batch), expected, atol=1e-6)
    assert seen == [2, 2, 1]


def test_steps_that_are_padding_in_every_row_are_not_unrolled():
    module = make_module()
    batch = make_batch(module)
    expected = module.forward_train(batch)[Columns.EMBEDDINGS]
    batch[Columns.SEQ_LENS] = torch.tensor([1, 4, 2, 3, 1])
    with memory.record(module.core) as recording:
        shortened = module.forward_train(batch)[Columns.EMBEDDINGS]
    assert len(recording.steps) == 4
    assert torch.allclose(shortened[:, :4], expected[:, :4], atol=1e-6)
    assert not shortened[:, 4:].any()


def test_target_network_keeps_the_policy_of_when_it_was_made():
    module = make_module()
    batch = make_batch(module)
    module.make_target_networks()
    before = module.forward_train(batch)[Columns.ACTION_DIST_INPUTS]
    with torch.no_grad():
        for main, _ in module.get_target_network_pairs():
            for parameter in main.parameters():
                parameter.add_(0.1)
    (target,) = module.forward_target(batch).values()
    assert torch.allclose(target, before, atol=1e-6)
    assert not target.requires_grad
    assert not torch.allclose(module.forward_train(batch)[Columns.ACTION_DIST_INPUTS], before, atol=1e-3)


def test_runner_copies_leave_out_what_they_do_not_need():
    full, light = make_module(), make_module(inference_only=True)
    full.make_target_networks()
    assert not hasattr(light, "value_head")
    light.set_state(full.get_state(inference_only=True))
    assert set(light.get_state()) == set(full.get_state(inference_only=True))


def test_core_of_ones_own_by_import_path():
    module = make_module(core=f"{OwnCore.__module__}:OwnCore")
    assert isinstance(module.core, OwnCore)
