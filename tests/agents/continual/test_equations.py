"""Fisher information, springs, distillation and TF-IDF against float64 loops written from the papers."""

import math

import pytest
import torch

from lukasa.agents.continual import make_network
from lukasa.agents.continual.methods import SparseUpdate, diagonal_fisher, spring_energy, tf_idf
from lukasa.agents.continual.methods.distillation import softened_surprise
from lukasa.agents.continual.methods.sparse_update import top_slots
from lukasa.agents.continual.slots import SlotLayer
from tests.agents.continual.small import learned, made, stream


def linear_network(known=True):
    """A softmax over a single layer of pixels: its gradients are known in closed form."""
    torch.manual_seed(0)
    network = make_network(stream(), "mlp", {"units": 5, "layers": 1}, task_known=known).double()
    network.encoder.stages[0][1] = torch.nn.Identity()
    return network.eval()


@pytest.mark.parametrize("known", [True, False])
def test_fisher_of_the_data_is_the_mean_squared_gradient(known):
    network, examples = linear_network(known), stream().train[1].rows(0, 7)
    inputs = examples._replace(inputs=examples.inputs.double() / 255)
    found = diagonal_fisher(network, inputs, torch.Generator(), "data")["head.weight"]
    weight, bias = network.head.weight.tolist(), network.head.bias.tolist()
    features = network.encoder(inputs.inputs).tolist()
    allowed = range(3, 6) if known else range(9)
    expected = [[0.0] * 5 for _ in range(9)]
    for feature, answer in zip(features, inputs.answers[:, 0].tolist(), strict=True):
        scores = {k: sum(w * f for w, f in zip(weight[k], feature, strict=True)) + bias[k] for k in allowed}
        total = sum(math.exp(one) for one in scores.values())
        for k in allowed:
            slope = (k == answer) - math.exp(scores[k]) / total
            for place in range(5):
                expected[k][place] += (slope * feature[place]) ** 2 / 7
    assert torch.allclose(found, torch.tensor(expected, dtype=torch.float64), rtol=1e-9, atol=1e-12)


def test_fisher_of_the_model_draws_its_own_answers():
    """Over many draws F of a head's bias is p (1 - p), the variance of the indicator of an answer."""
    network = linear_network()
    one = stream().train[0].rows(0, 1)
    one = one._replace(inputs=one.inputs.double() / 255)
    many = type(one)(*(tensor.expand(800, *tensor.shape[1:]) for tensor in one))
    found = diagonal_fisher(network, many, torch.Generator().manual_seed(0))["head.bias"]
    share = torch.softmax(network.scores(one.inputs, one.tasks)[0, 0], -1).detach()
    assert torch.allclose(found, share * (1 - share), atol=0.05)


def test_springs_pull_by_their_strength():
    network = linear_network()
    here = {name: one.detach() + 0.1 * place for place, (name, one) in enumerate(network.named_parameters())}
    fisher = {name: torch.rand_like(one) for name, one in here.items()}
    energy = spring_energy(network, fisher, here, 7.0)
    total = 0.0
    for name, one in network.named_parameters():
        one = one.detach()
        for f, now, then in zip(fisher[name].flatten(), one.flatten(), here[name].flatten(), strict=True):
            total += 7.0 / 2 * float(f) * (float(now) - float(then)) ** 2
    assert float(energy.detach()) == pytest.approx(total)
    energy.backward()
    assert torch.allclose(network.head.bias.grad, 7 * fisher["head.bias"] * (network.head.bias - here["head.bias"]))


def test_one_spring_for_all_decays_and_several_do_not():
    online = learned(made("ewc", springs="online", decay=0.5, examples=5), batches=2).method
    apart = learned(made("ewc", examples=5), batches=2).method
    assert (len(online.springs), len(apart.springs)) == (1, 3)
    assert apart.bytes == 3 * online.bytes


def test_distillation_is_the_cross_entropy_of_softened_answers():
    generator = torch.Generator().manual_seed(0)
    then, now = (torch.randn(4, 3, generator=generator, dtype=torch.float64, requires_grad=True) for _ in range(2))
    total = 0.0
    for row in range(4):
        shares = []
        for scores in (then, now):
            plain = [math.exp(one) for one in scores[row].tolist()]
            rooted = [(one / sum(plain)) ** (1 / 2.0) for one in plain]
            shares.append([one / sum(rooted) for one in rooted])
        total -= sum(before * math.log(after) for before, after in zip(*shares, strict=True)) / 4
    assert float(softened_surprise(then, now, 2.0).detach()) == pytest.approx(total)
    assert torch.autograd.gradcheck(lambda one: softened_surprise(then.detach(), one, 2.0), now)


def test_ranks_are_those_of_the_paper():
    counts, in_batches = torch.tensor([3.0, 3.0, 0.0, 2.0]), torch.tensor([10.0, 0.0, 0.0, 4.0])
    expected = [c / 8 * math.log(11 / (b + 1)) for c, b in zip(counts.tolist(), in_batches.tolist(), strict=True)]
    found = tf_idf(counts, in_batches, 10)
    assert found.tolist() == pytest.approx(expected)
    assert top_slots(found, 3).tolist() == [1, 3]  # slot 0 is in every batch, slot 2 is not read


def test_slots_read_are_the_best_of_all_pairs_of_keys():
    torch.manual_seed(0)
    layer = SlotLayer(6, 25, 3).double()
    features = torch.randn(4, 6, dtype=torch.float64)
    given = layer(features)
    queries = layer.query(layer.norm(features)).unflatten(1, (2, layer.width))
    for row in range(4):
        scores = [
            float((queries[row, 0] @ layer.keys[0, slot // 5] + queries[row, 1] @ layer.keys[1, slot % 5]).detach())
            for slot in range(25)
        ]
        best = sorted(range(25), key=lambda slot: -scores[slot])[:3]
        assert layer.read[row].tolist() == best
        weights = [math.exp(scores[slot]) for slot in best]
        read = sum(w / sum(weights) * layer.values[slot] for w, slot in zip(weights, best, strict=True))
        assert torch.allclose(given[row], layer.norm(features)[row] + read)


def test_a_layer_of_slots_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match="expected a square number"):
        SlotLayer(4, 10)
    with pytest.raises(ValueError, match="expected from 1 to 4"):
        SlotLayer(4, 16, 5)


def test_only_the_chosen_slots_and_the_head_change():
    method = made("sparse_update", slots=64, chosen=4, updated_slots=3)
    assert isinstance(method, SparseUpdate)
    before, opened = {}, set()

    def remembered(batch, inner=method.updated):
        if method.task:
            assert method._open.numel() <= 3
            opened.update(method._open.tolist())
            closed = torch.ones(64, dtype=torch.bool)
            closed[method._open] = False
            inner(batch)
            assert torch.equal(method.network.slots.values[closed], before["values"][closed])
            assert torch.equal(method.network.encoder.stages[0][0].weight, before["encoder"])
        before["values"] = method.network.slots.values.detach().clone()
        before["encoder"] = method.network.encoder.stages[0][0].weight.detach().clone()

    method.updated = remembered
    learned(method, batches=12)
    assert len(opened) > 6  # some slots were open for one batch and closed for the next
