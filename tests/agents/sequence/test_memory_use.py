import math

import pytest
import torch

from lukasa.agents.sequence import slot_information
from tests.agents.sequence.batches import fixed, gradients, make_trainer


def inside(rows, steps):
    return torch.ones(rows, steps, dtype=torch.bool)


def test_same_weighting_at_every_step_tells_nothing():
    weights = torch.rand(2, 1, 3, 7).expand(2, 5, 3, 7)
    torch.testing.assert_close(slot_information(weights, inside(2, 5)), torch.zeros(2, 3), atol=1e-6, rtol=0)


def test_slot_of_its_own_at_every_step_tells_the_step():
    weights = torch.eye(4)[None, :, None].expand(2, 4, 1, 4)
    torch.testing.assert_close(slot_information(weights, inside(2, 4)), torch.full((2, 1), math.log(4)))


def test_information_equals_the_sum_over_steps_and_slots():
    generator = torch.Generator().manual_seed(0)
    weights = torch.rand(1, 3, 1, 2, generator=generator, dtype=torch.float64)  # a gate: they need not sum to 1
    total, expected = float(weights.sum()), 0.0
    for step in range(3):
        for slot in range(2):
            joint = float(weights[0, step, 0, slot]) / total
            apart = float(weights[0, step].sum() * weights[0, :, 0, slot].sum()) / total**2
            expected += joint * math.log(joint / apart)
    assert float(slot_information(weights, inside(1, 3))) == pytest.approx(expected, rel=1e-9)


def test_padding_does_not_count():
    weights = torch.rand(1, 5, 1, 4)
    counted = inside(1, 5)
    counted[:, 3:] = False
    torch.testing.assert_close(slot_information(weights, counted), slot_information(weights[:, :3], inside(1, 3)))


def test_weights_of_zero_have_finite_gradients():
    weights = torch.eye(3)[None, :, None].clone().requires_grad_()
    slot_information(weights, inside(1, 3)).sum().backward()
    assert torch.isfinite(weights.grad).all()
    nothing = torch.zeros(1, 3, 1, 3)
    assert float(slot_information(nothing, inside(1, 3))) == 0


def test_auxiliary_loss_moves_gradients_and_not_the_reported_loss():
    plain, encouraged = (make_trainer(fixed("copy"), memory_use=weight) for weight in (0.0, 1.0))
    assert plain.step().loss == pytest.approx(encouraged.step().loss, rel=1e-6)
    one, other = gradients(plain.learner.core), gradients(encouraged.learner.core)
    assert not torch.allclose(one["interface.weight"], other["interface.weight"])
    torch.testing.assert_close(one["output.weight"], other["output.weight"])  # it has no part in addressing


def test_encouraged_memory_uses_more_slots():
    sampler = fixed("copy", min_length=5, max_length=5)
    trainer = make_trainer(sampler, memory_use=100.0)

    def information():
        from lukasa import memory

        with torch.no_grad(), memory.record(trainer.learner.core) as recording:
            memory.unroll(trainer.learner.core, sampler.batch.inputs)
        return float(slot_information(recording.stacked()["write"], inside(4, 11)).mean())

    before = information()
    for _ in range(30):
        trainer.step()
    assert information() > before + 0.2


def test_core_without_slots_is_refused():
    with pytest.raises(ValueError, match="has no slots"):
        make_trainer(fixed("copy"), "lstm", memory_use=1.0).step()
