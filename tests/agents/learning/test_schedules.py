import pytest
import torch

from lukasa.agents.learning import GravesRMSProp, make_optimizer, make_schedule


def parameter():
    return torch.nn.Parameter(torch.ones(1))


def rates(name, batches=8, **options):
    optimizer = make_optimizer("adam", [parameter()], 1.0)
    schedule = make_schedule(optimizer, name, batches=batches, **options)
    found = []
    for _ in range(batches + 1):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


def test_constant_rate_stays():
    assert rates("constant") == [1.0] * 9


def test_linear_decay_ends_with_the_last_batch():
    assert rates("linear", 4) == pytest.approx([1.0, 0.75, 0.5, 0.25, 0.0])
    assert rates("linear", 4, final=0.2)[-1] == pytest.approx(0.2)


def test_cosine_decay_is_half_way_in_the_middle():
    found = rates("cosine")
    assert (found[0], found[4], found[8]) == pytest.approx((1.0, 0.5, 0.0))
    assert found[1] > 0.95


def test_warm_up_rises_before_the_decay():
    assert rates("linear", 8, warmup=3)[:5] == pytest.approx([0.25, 0.5, 0.75, 1.0, 0.8])


def test_optimizers_get_their_own_numbers():
    graves = make_optimizer("rmsprop", [parameter()], 0.1, momentum=0.5, epsilon=1e-2)
    assert isinstance(graves, GravesRMSProp)
    assert graves.defaults == {"lr": 0.1, "decay": 0.95, "momentum": 0.5, "epsilon": 1e-2}
    adamw = make_optimizer("adamw", [parameter()], 0.1, momentum=0.8, weight_decay=0.3)
    assert isinstance(adamw, torch.optim.AdamW)
    assert (adamw.defaults["betas"], adamw.defaults["weight_decay"]) == ((0.8, 0.999), 0.3)


def test_what_there_is_not_is_refused():
    with pytest.raises(ValueError, match="unknown optimizer 'sgdd'"):
        make_optimizer("sgdd", [parameter()], 0.1)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="no weight decay"):
        make_optimizer("rmsprop", [parameter()], 0.1, weight_decay=0.1)
    with pytest.raises(ValueError, match="unknown schedule 'step'"):
        make_schedule(make_optimizer("adam", [parameter()], 0.1), "step", batches=1)  # pyright: ignore[reportArgumentType]
