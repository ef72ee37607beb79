"""What a core costs beside its task, in RLlib's learners."""

import re

import pytest
import torch
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.columns import Columns

from lukasa import memory
from lukasa.agents.rllib import MemoryAPPOConfig, MemoryIMPALAConfig, MemoryPPOConfig, MemorySettings
from lukasa.agents.rllib.module import MEMORY_COST
from tests.agents.paying import PATH
from tests.agents.rllib.sampling import learner_batch, make_learner, make_runner, ppo, ship

ALGORITHMS = [MemoryPPOConfig, MemoryAPPOConfig, MemoryIMPALAConfig]


def learner_and_batch(base=MemoryPPOConfig):
    config = ppo()
    if base is not MemoryPPOConfig:
        config = base().environment(config.env).env_runners(num_envs_per_env_runner=3, rollout_fragment_length=10)
        config.learners(num_learners=0, num_aggregator_actors_per_learner=0)
    config.memory(core=PATH, size=6, max_seq_len=4, previous_action=True)
    runner = make_runner(config)
    learner = make_learner(config, runner)
    return learner, learner_batch(learner, ship(runner.sample(num_timesteps=30)))


@pytest.mark.ray
def test_cost_is_the_mean_over_the_steps_that_count(ray_cluster):
    """Of rows cut from fragments of 10 steps: neither padding nor the bootstrap step pays."""
    learner, batch = learner_and_batch()
    module = learner.module[DEFAULT_MODULE_ID].unwrapped()
    inside = batch[Columns.LOSS_MASK]
    assert not inside.all()
    expected = module.net.encode(batch).square().sum(2)[inside].mean()
    found = module.forward_train(batch)[MEMORY_COST]
    torch.testing.assert_close(found, expected)
    batch[Columns.OBS][~inside] += 1
    torch.testing.assert_close(module.forward_train(batch)[MEMORY_COST], expected)


@pytest.mark.ray
@pytest.mark.parametrize("base", ALGORITHMS)
def test_every_learner_adds_the_cost_to_its_loss_and_reports_it(base, ray_cluster):
    """The gradient reaches a parameter of the core that no output depends on."""
    learner, batch = learner_and_batch(base)
    module = learner.module[DEFAULT_MODULE_ID].unwrapped()
    outputs = module.forward_train(batch)
    loss = {}
    for paid in (True, False):
        given = outputs if paid else {name: part for name, part in outputs.items() if name != MEMORY_COST}
        loss[paid] = learner.compute_loss_for_module(
            module_id=DEFAULT_MODULE_ID,
            config=learner.config.get_config_for_module(DEFAULT_MODULE_ID),
            batch=batch,
            fwd_out=given,
        )
    torch.testing.assert_close(loss[True] - loss[False], outputs[MEMORY_COST], rtol=1e-3, atol=1e-3)
    (slope,) = torch.autograd.grad(loss[True], module.core.price)
    assert slope > 0
    reported = float(learner.metrics.reduce()[DEFAULT_MODULE_ID][MEMORY_COST])
    assert reported == pytest.approx(float(outputs[MEMORY_COST].detach()))


@pytest.mark.parametrize("base", ALGORITHMS)
def test_core_that_chooses_is_refused_when_it_is_chosen(base):
    sentence = "core Paying chooses at random in training, which an RLlib agent cannot learn from: choose options"
    with pytest.raises(ValueError, match=re.escape(sentence)):
        base().memory(core=PATH, chooses=True)
    base().memory(core=PATH, chooses=False)


@pytest.mark.parametrize("inside", [False, True], ids=["alone", "inside another"])
@pytest.mark.parametrize("core", ["stack_rnn", "list_rnn"])
def test_core_that_acts_otherwise_than_it_learns_is_refused(core, inside):
    """RLlib explores in evaluation mode."""

    def choose(rounding):
        options = {"rounding": rounding}
        options = {"core": core, "core_options": options} if inside else options
        MemoryPPOConfig().memory(core="act" if inside else core, core_options=options)

    with pytest.raises(ValueError, match="rounds what it does in evaluation mode, in which an RLlib agent acts"):
        choose("eval")
    choose("never")


def test_looking_for_choices_draws_nothing():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    MemoryPPOConfig().memory(core="ntm")
    torch.testing.assert_close(torch.rand(3), expected, rtol=0, atol=0)


def test_core_that_only_its_own_widths_suit_is_left_to_the_module():
    MemorySettings(core="tests.agents.rllib.test_costs:Narrow").refuse_choices()


class Narrow(memory.Core):
    def __init__(self, input_size: int, output_size: int):
        raise ValueError(f"input_size is {input_size}: expected 3")
