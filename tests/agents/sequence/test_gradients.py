import pytest
import torch

from lukasa.agents.learning import clip, group_norms
from lukasa.agents.learning.gradients import parameter_groups
from lukasa.agents.sequence import state_gradients
from lukasa.memory import detach_state, state_from_dict, state_to_dict
from tests.agents.sequence.batches import fixed, make_core


def with_gradients(*values):
    made = [torch.nn.Parameter(torch.zeros(len(value))) for value in values]
    for parameter, value in zip(made, values, strict=True):
        parameter.grad = torch.tensor(value)
    return made


def test_elements_are_clipped_before_the_norm():
    parameters = with_gradients([3.0, -40.0], [4.0])
    clip(parameters, 10.0, 5.0)
    before = torch.tensor([3.0, -10.0, 4.0])
    expected = before * 5 / (before.norm() + 1e-6)
    torch.testing.assert_close(torch.cat([one.grad for one in parameters]), expected)


def test_nothing_is_clipped_unless_asked():
    parameters = with_gradients([3.0, -40.0])
    clip(parameters, None, None)
    assert parameters[0].grad.tolist() == [3.0, -40.0]


def test_group_norms_cover_every_trained_parameter():
    core = make_core(fixed("copy").spec)
    for parameter in core.parameters():
        parameter.grad = torch.ones_like(parameter)
    norms = group_norms(core)
    assert {"controller", "interface", "output"} <= set(norms)
    assert norms["output"] == pytest.approx(
        sum(one.numel() for one in core.get_submodule("output").parameters()) ** 0.5
    )
    total = sum(one.numel() for one in core.parameters() if one.requires_grad)
    assert sum(norm**2 for norm in norms.values()) == pytest.approx(total)
    assert sum(map(len, parameter_groups(core).values())) == sum(one.requires_grad for one in core.parameters())


@pytest.mark.parametrize("name", ["ntm", "dnc", "lstm", "sam", "sdnc"])
def test_state_gradients_are_those_of_the_steps_to_come(name):
    sampler = fixed("copy", rows=3, max_length=3)
    core = make_core(sampler.spec, name, dtype=torch.float64)
    batch = sampler.batch._replace(inputs=sampler.batch.inputs.double())
    found = state_gradients(core, sampler.spec, sampler.batch)
    assert not any(parameter.grad is not None for parameter in core.parameters())
    state = core.initial_state(3)
    for step in range(batch.mask.shape[1] - 1):
        _, state = core(batch.inputs[:, step], state)
        # Start anew from this state and see what the rest of the loss makes of it.
        tensors = {part: tensor.detach() for part, tensor in state_to_dict(state).items()}
        leaves = {part: tensor.requires_grad_() for part, tensor in tensors.items() if tensor.is_floating_point()}
        after, outputs = state_from_dict(core, tensors), []
        outputs.append(torch.zeros(3, step + 1, sampler.spec.output_size, dtype=torch.float64))
        for later in range(step + 1, batch.mask.shape[1]):
            output, after = core(batch.inputs[:, later], after)
            outputs.append(output[:, None])
        loss = sampler.spec.loss(torch.cat(outputs, 1), batch).sum()
        expected = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
        for part, gradient in zip(leaves, expected, strict=True):
            norm = 0.0 if gradient is None else gradient.flatten(1).norm(dim=1).mean()
            if part.startswith("links."):  # of a sparse core: no gradient flows through them
                assert gradient is None
                continue
            part = part.removesuffix(".rows")
            torch.testing.assert_close(found[part][step], torch.as_tensor(norm, dtype=torch.float64))
        state = detach_state(state)
    assert all(float(norms[-1]) == 0 for norms in found.values())


@pytest.mark.parametrize("name", ["sam", "sdnc"])
def test_state_gradients_of_a_sparse_core_are_of_its_words_and_leave_out_slots(name):
    sampler = fixed("copy", max_length=3)
    found = state_gradients(make_core(sampler.spec, name), sampler.spec, sampler.batch)
    assert set(found) == {"memory", "read_weights", "reads", "controller.hidden", "controller.cell"}
    assert float(found["memory"][0]) > 0
