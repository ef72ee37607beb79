"""Weightings cut down to the slots that were used, and the age of what was read."""

import numpy as np
import pytest

from lukasa.launch.pictures.slot_views import SlotView, ages, dense_view, sparse_view

RANDOM = np.random.default_rng(0)


def one_hot(slots, total):
    """[T, 1, N] of one slot a step."""
    return np.eye(total)[np.array(slots)][:, None]


def test_range_of_used_slots_is_kept_and_named():
    view = dense_view({"write": one_hot([3, 4, 5, 6], 128), "read": one_hot([4, 4, 4, 7], 128)})
    np.testing.assert_array_equal(view.slots, [3, 4, 5, 6, 7])
    assert view.caption == "slots 3 to 7 of 128"
    np.testing.assert_array_equal(view.weights["read"][-1, 0], [0, 0, 0, 0, 1])


def test_far_slots_leave_out_what_lies_between():
    view = dense_view({"write": one_hot([0, 1, 2], 128), "read": one_hot([127, 0, 1], 128)})
    np.testing.assert_array_equal(view.slots, [0, 1, 2, 127])
    assert view.caption == "4 of 128 slots, the used ones"


@pytest.mark.parametrize("weights", [np.zeros((3, 1, 8)), np.full((3, 1, 8), 1 / 8), np.full((3, 1, 8), np.nan)])
def test_weights_on_no_slot_in_particular_show_all_slots(weights):
    view = dense_view({"read": weights})
    assert (len(view.slots), view.caption) == (8, "all 8 slots")


def test_listed_slots_come_in_the_order_of_their_first_use_with_their_sums():
    slots = np.array([[[900, 7, -1]], [[7, 7, 40]]])
    weights = np.array([[[0.5, 0.25, 0.0]], [[0.25, 0.25, 0.5]]])
    never = (np.full((2, 1, 1), 5), np.ones((2, 1, 1)))
    view = sparse_view(
        {"read": (slots, weights), "write": (slots[..., :1], weights[..., :1]), "least_used": never}, 2**20
    )
    assert view.slots.tolist() == [900, 7, 40]
    np.testing.assert_array_equal(view.weights["read"][:, 0], [[0.5, 0.25, 0], [0, 0.5, 0.5]])
    assert view.weights["least_used"].sum() == 0  # a slot that nobody read or wrote has no row
    assert view.caption == "3 of 1,048,576 slots, in the order of their first use"


def test_memory_that_is_never_used_has_no_slots():
    nothing = (np.full((2, 1, 3), -1), np.zeros((2, 1, 3)))
    assert sparse_view({"read": nothing}, 64).caption == "0 of 64 slots, in the order of their first use"


def test_ages_agree_with_a_loop_over_shares():
    write, read = RANDOM.dirichlet(np.ones(5), (7, 2)), RANDOM.dirichlet(np.ones(5), (7, 3))
    found = ages(read, write)
    for step in range(7):
        for head in range(3):
            for ago in range(step + 1):
                share = 0.0
                for slot in range(5):
                    kept = 1 - (1 - write[step - ago, 0, slot]) * (1 - write[step - ago, 1, slot])
                    for later in range(step - ago + 1, step + 1):
                        kept *= (1 - write[later, 0, slot]) * (1 - write[later, 1, slot])
                    share += read[step, head, slot] * kept
                assert found[step, head, ago] == pytest.approx(share, abs=1e-12)
    assert (found.sum(2) <= 1 + 1e-12).all()


def test_emptied_slot_holds_only_what_was_written_since():
    write = np.full((2, 1, 1), 0.5)
    np.testing.assert_allclose(ages(np.ones((2, 1, 1)), write)[1, 0], [0.5, 0.25])
    np.testing.assert_allclose(ages(np.ones((2, 1, 1)), write, np.ones((2, 1, 1)))[1, 0], [0.5, 0])


def test_caption_of_a_view_without_a_total():
    assert SlotView(np.array([1, 2]), None, False, {}).caption == "slots 1 to 2"
