"""Walking over states, without any core where none is needed.

Legend: B batch.
"""

import math
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from lukasa import memory


class Inner(NamedTuple):
    hidden: Tensor


class Nothing(NamedTuple):
    pass


class Outer(NamedTuple):
    words: Tensor  # [B, 2, 3]
    steps: Tensor  # [B], whole numbers
    inner: Inner  # [B, 4]
    nothing: Nothing


def outer(batch_size: int = 3, value: float = 1.0) -> Outer:
    return Outer(
        words=torch.full((batch_size, 2, 3), value),
        steps=torch.full((batch_size,), int(value) if math.isfinite(value) else 0),
        inner=Inner(torch.full((batch_size, 4), value)),
        nothing=Nothing(),
    )


def dnc(**options: int) -> memory.Core:
    return memory.make_core("dnc", **{"input_size": 3, "output_size": 2, "slots": 4, "word_size": 5, **options})


def test_map_state_keeps_the_shape_of_the_state():
    doubled = memory.map_state(lambda tensor: 2 * tensor, outer())
    torch.testing.assert_close(doubled, outer(value=2.0))
    assert isinstance(doubled, Outer)
    assert isinstance(doubled.inner, Inner)
    assert doubled.nothing == Nothing()


def test_map_state_walks_several_states_side_by_side():
    summed = memory.map_state(torch.add, outer(value=1.0), outer(value=4.0))
    torch.testing.assert_close(summed, outer(value=5.0))


def test_reset_rows_takes_whole_rows_where_the_mask_is_set():
    state = memory.reset_rows(outer(3, 1.0), outer(3, 2.0), torch.tensor([False, True, False]))
    for name, tensor in memory.state_to_dict(state).items():
        assert tensor[1].unique().tolist() == [2], name
        assert tensor[[0, 2]].unique().tolist() == [1], name
        assert tensor.dtype == memory.state_to_dict(outer())[name].dtype, name


def test_reset_rows_selects_rows_where_batch_and_features_are_equally_many():
    """[B, B]: a mask without its trailing dimensions would select columns."""
    state = memory.reset_rows(Inner(torch.zeros(3, 3)), Inner(torch.ones(3, 3)), torch.tensor([True, False, False]))
    assert state.hidden.tolist() == [[1, 1, 1], [0, 0, 0], [0, 0, 0]]


def test_reset_rows_lets_no_nan_through_in_values_or_gradients():
    old, new = (Inner(torch.full((2, 3), value, requires_grad=True)) for value in (math.nan, 1.0))
    state = memory.reset_rows(old, new, torch.tensor([True, True]))
    assert state.hidden.tolist() == [[1, 1, 1], [1, 1, 1]]
    to_old, to_new = torch.autograd.grad(state.hidden.square().sum(), [old.hidden, new.hidden])
    assert to_old.count_nonzero() == 0
    assert to_new.tolist() == [[2, 2, 2], [2, 2, 2]]


def test_reset_rows_leaves_its_arguments_unchanged():
    state, fresh = outer(3, 1.0), outer(3, 2.0)
    memory.reset_rows(state, fresh, torch.ones(3, dtype=torch.bool))
    torch.testing.assert_close((state, fresh), (outer(3, 1.0), outer(3, 2.0)))


def test_detach_state_cuts_the_gradient_and_keeps_the_values():
    watched = Inner(torch.ones(2, 3, requires_grad=True) * 2)
    cut = memory.detach_state(watched)
    assert not cut.hidden.requires_grad
    torch.testing.assert_close(cut.hidden, watched.hidden.detach())


def test_dict_names_tensors_by_their_path_in_order():
    state = outer()
    flat = memory.state_to_dict(state)
    assert list(flat) == ["words", "steps", "inner.hidden"]
    assert flat["inner.hidden"] is state.inner.hidden


def test_state_from_dict_ignores_the_order_of_names_and_keeps_dtypes():
    core = dnc()
    state = core.initial_state(2)._replace(usage=torch.rand(2, 4, dtype=torch.float64))
    flat = dict(reversed(memory.state_to_dict(state).items()))
    restored = memory.state_from_dict(core, flat)
    torch.testing.assert_close(restored, state, rtol=0, atol=0)
    assert restored.usage.dtype == torch.float64


def test_gradient_flows_through_a_dict():
    core = dnc()
    flat = {name: tensor.requires_grad_() for name, tensor in memory.state_to_dict(core.initial_state(2)).items()}
    torch.autograd.grad(memory.state_from_dict(core, flat).links.sum(), flat["links"])


@pytest.mark.parametrize("missing", [["usage"], ["usage", "controller.cell"]])
def test_missing_tensors_are_named(missing: list[str]):
    flat = memory.state_to_dict(dnc().initial_state(2))
    for name in missing:
        del flat[name]
    with pytest.raises(ValueError, match=rf"lacks {', '.join(missing)}: it was not written by this kind of core"):
        memory.state_from_dict(dnc(), flat)


def test_unknown_tensor_names_the_nearest_one():
    flat = memory.state_to_dict(dnc().initial_state(2))
    with pytest.raises(ValueError, match="unknown tensor 'precedences': did you mean 'precedence'"):
        memory.state_from_dict(dnc(), {**flat, "precedences": flat["precedence"]})


def test_state_of_another_kind_of_core_is_refused():
    state = memory.make_core("gru", input_size=3, output_size=2).initial_state(2)
    with pytest.raises(ValueError, match="unknown tensor 'hidden'"):
        memory.state_from_dict(dnc(), memory.state_to_dict(state))


def test_state_of_a_core_with_other_options_is_refused_with_both_sizes():
    flat = memory.state_to_dict(dnc(slots=6).initial_state(2))
    with pytest.raises(ValueError, match=r"'memory' is \[2, 6, 5\], this core needs \[batch, 4, 5\].*other options"):
        memory.state_from_dict(dnc(), flat)


def test_tensors_with_different_numbers_of_rows_are_refused():
    flat = memory.state_to_dict(dnc().initial_state(2))
    flat["usage"] = flat["usage"][:1]
    with pytest.raises(ValueError, match=r"same number of rows, got \['1', '2'\]"):
        memory.state_from_dict(dnc(), flat)


def test_tensor_without_rows_is_refused():
    flat = {name: torch.tensor(0.0) for name in memory.state_to_dict(dnc().initial_state(2))}
    with pytest.raises(ValueError, match=r"'memory' is \[\], this core needs \[batch, 4, 5\]"):
        memory.state_from_dict(dnc(), flat)
