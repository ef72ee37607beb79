"""Sparse temporal links: against dense matrices, and their life beside a sparse memory.

Legend: B batch, N slots, S slots of one operation, H heads, C slots that a head reads, E entries of a row, T steps.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from lukasa.memory import addressing
from lukasa.memory.sparse import StaleStateError
from lukasa.memory.sparse.links import SparseLinks
from lukasa.memory.sparse.weightings import largest_sums
from lukasa.memory.states import StatePart
from tests.memory.link_oracle import DenseLinks
from tests.memory.samples import property_test

N = 6


class Step(NamedTuple):
    """Arguments of one update."""

    slots: Tensor
    weights: Tensor
    erased: Tensor


def program(seed: int, batch_size: int = 2, steps: int = 12, slots: int = N) -> list[Step]:
    """Updates that name slots twice or not at all, write nothing, everything or more than 1, and erase what is linked.

    Weights do not tie: links are kept as logarithms, whose rounding would decide.
    """
    generator = torch.Generator().manual_seed(seed)

    def integers(low: int, high: int, *shape: int) -> Tensor:
        return torch.randint(low, high, shape, generator=generator)

    made = []
    for step in range(steps):
        named = integers(-1, slots, batch_size, 4)
        weights = torch.rand(batch_size, 4, generator=generator, dtype=torch.float64) / 2
        weights = weights.masked_fill(weights < 0.1, 0)
        if step % 4 == 1:
            weights = weights * 8  # more than 1 in all
        erased = integers(-1, slots, batch_size, 2) if step % 3 == 2 else torch.full((batch_size, 2), -1)
        made.append(Step(named, weights.masked_fill(named < 0, 0), erased))
    return made


def dense_weights(step: Step, row: int, slots: int = N) -> np.ndarray:
    weights = np.zeros(slots)
    for slot, weight in zip(step.slots[row].tolist(), step.weights[row].tolist(), strict=True):
        if slot >= 0:
            weights[slot] += weight
    return weights


def matrices(links: SparseLinks) -> Tensor:
    """N_t and P_t, [2, B, N, N], as reading them one row at a time shows them."""
    every = torch.arange(links.slots).expand(links.batch_size, -1)
    slots, weights = links.follow(every.unsqueeze(2), torch.ones(*every.shape, 1, dtype=torch.float64))
    found = torch.zeros(2, links.batch_size, links.slots, links.slots + 1, dtype=torch.float64)
    slots = slots.masked_fill(slots < 0, links.slots).permute(2, 0, 1, 3)
    return found.scatter_add(3, slots, weights.permute(2, 0, 1, 3))[..., :-1]


def run(links: SparseLinks, steps: list[Step]) -> SparseLinks:
    for step in steps:
        links = links.update(*step)
    return links


def same_tensors(left: SparseLinks, right: SparseLinks) -> None:
    torch.testing.assert_close(left.tensors(), right.tensors(), rtol=0, atol=0)


@property_test
@given(st.integers(0, 10**6), st.sampled_from([1, 2, 3, 8]), st.booleans())
def test_links_equal_dense_matrices_of_which_each_row_is_cut_off(seed: int, entries: int, both: bool):
    links = SparseLinks.empty(2, N, entries=entries, decay="both" if both else "later")
    dense = [DenseLinks(N, entries, both) for _ in range(2)]
    for step in program(seed):
        links = links.update(*step)
        for row, one in enumerate(dense):
            one.update(dense_weights(step, row), [slot for slot in step.erased[row].tolist() if slot >= 0])
        earlier, later = matrices(links)
        np.testing.assert_allclose(earlier, np.stack([one.earlier for one in dense]), rtol=0, atol=1e-12)
        np.testing.assert_allclose(later, np.stack([one.later for one in dense]), rtol=0, atol=1e-12)


def test_links_with_an_entry_for_every_slot_that_fade_at_both_ends_equal_the_dncs():
    generator = torch.Generator().manual_seed(0)
    links = SparseLinks.empty(3, N, entries=N, decay="both")
    expected, precedence = torch.zeros(3, N, N, dtype=torch.float64), torch.zeros(3, N, dtype=torch.float64)
    every, nothing = torch.arange(N).expand(3, -1), torch.full((3, 1), -1)
    for _ in range(30):
        logits = 3 * torch.randn(3, N, generator=generator, dtype=torch.float64)
        weights = torch.softmax(logits, 1) * torch.rand(3, 1, generator=generator, dtype=torch.float64)
        expected = addressing.temporal_links(expected, precedence, weights)
        precedence = addressing.precedence(precedence, weights)
        links = links.update(every, weights, nothing)
        earlier, later = matrices(links)
        torch.testing.assert_close(earlier, expected, rtol=0, atol=1e-12)
        torch.testing.assert_close(later, expected.transpose(1, 2), rtol=0, atol=1e-12)


@pytest.mark.parametrize("decay", ["later", "both"])
def test_links_have_no_diagonal_and_rows_sum_to_at_most_one_where_they_fade_at_both_ends(
    decay: Any,
):
    links = run(SparseLinks.empty(8, N, entries=3, decay=decay), program(1, batch_size=8, steps=60))
    found = matrices(links)
    assert (found >= 0).all()
    assert found.diagonal(dim1=2, dim2=3).count_nonzero() == 0
    assert (found[0].sum(-1) <= 1 + 1e-12).all()  # of N either way: w(i) of a row goes to p, which sums to 1 at most
    if decay == "both":
        assert (found[1].sum(-1) <= 1 + 1e-12).all()
    else:
        assert (found[1].sum(-1) > 1).any()


def test_chain_of_writes_is_followed_in_both_directions():
    links, nothing = SparseLinks.empty(1, 1 << 20), torch.full((1, 1), -1)
    for slot in (5, 900_000, 7):
        links = links.update(torch.tensor([[slot]]), torch.ones(1, 1), nothing)
    slots, weights = links.follow(torch.tensor([[[900_000]]]), torch.ones(1, 1, 1))
    assert slots[0, 0, :, 0].tolist() == [5, 7]
    assert weights[0, 0, :, 0].tolist() == [1, 1]
    assert weights.sum() == 2


def test_gradient_flows_through_what_was_read_and_not_through_links():
    links = run(SparseLinks.empty(1, 4), program(0, 1, slots=4))
    weights = torch.tensor([[[0.5, 0.25]]], dtype=torch.float64, requires_grad=True)
    slots, reached = links.follow(torch.tensor([[[0, 2]]]), weights)
    (gradient,) = torch.autograd.grad(reached.sum(), weights)
    torch.testing.assert_close(gradient[0, 0], matrices(links).sum((0, 1, 3))[[0, 2]])
    links = links.update(torch.tensor([[0, 2]]), weights[:, 0], torch.tensor([[-1]]))
    assert not links.follow(slots[:, :, 0], reached[:, :, 0].detach())[1].requires_grad


def test_slot_that_is_used_anew_has_no_links_in_either_direction():
    links, nothing = SparseLinks.empty(1, 4), torch.full((1, 1), -1)
    for slot in (0, 1, 2):
        links = links.update(torch.tensor([[slot]]), torch.ones(1, 1), nothing)
    links = links.update(nothing, torch.zeros(1, 1), torch.tensor([[1]]))
    assert matrices(links).count_nonzero() == 0
    links = links.update(torch.tensor([[1]]), torch.ones(1, 1), nothing)
    assert matrices(links)[0, 0].nonzero().tolist() == [[1, 2]]


def test_faded_link_does_not_return_when_its_slot_is_used_again():
    """A weight of exactly 1, and then a hundred more, leave nothing and no NaN."""
    links, nothing = SparseLinks.empty(1, 3), torch.full((1, 1), -1)
    for slot in (0, 1, 0, 2) + (1, 2) * 50:
        links = links.update(torch.tensor([[slot]]), torch.ones(1, 1), nothing)
    found = matrices(links)[:, 0]
    assert found.isfinite().all()
    assert found[1, 0].tolist() == [0, 0, 0]
    assert found[0, 2].tolist() == [0, 1, 0]


def test_not_a_number_leaves_no_link():
    links = run(SparseLinks.empty(1, 4), program(0, 1, slots=4))
    links = links.update(torch.tensor([[0, 1]]), torch.tensor([[float("nan"), 0.5]]), torch.tensor([[-1]]))
    assert matrices(run(links, program(1, 1, slots=4))).isfinite().all()


def test_reset_empties_only_the_rows_asked_for():
    steps = program(3, batch_size=3)
    links = run(SparseLinks.empty(3, N), steps)
    before = matrices(links)
    links = links.reset(torch.tensor([False, True, False]))
    after = matrices(links)
    assert before[:, 1].count_nonzero() > 0
    assert after[:, 1].count_nonzero() == 0
    torch.testing.assert_close(after[:, [0, 2]], before[:, [0, 2]], rtol=0, atol=0)
    fresh = run(SparseLinks.empty(3, N), steps[:5])
    torch.testing.assert_close(matrices(run(links, steps[:5]))[:, 1], matrices(fresh)[:, 1], rtol=0, atol=0)


def test_reset_of_no_row_leaves_the_links_as_they_are():
    links = run(SparseLinks.empty(2, N), program(3))
    assert links.reset(torch.tensor([False, False])) is links


def test_links_that_were_changed_since_are_refused():
    first = SparseLinks.empty(2, N)
    step = program(0)[0]
    second = first.update(*step)
    with pytest.raises(StaleStateError, match="version 0 of 1; use the newest state, or fork"):
        first.update(*step)
    with pytest.raises(StaleStateError):
        first.follow(step.slots.unsqueeze(1), step.weights.unsqueeze(1))
    second.detach().update(*step)
    with pytest.raises(StaleStateError):
        second.tensors()


def test_fork_can_be_changed_on_its_own():
    steps = program(5)
    links = run(SparseLinks.empty(2, N), steps[:6])
    branch = links.fork()
    same_tensors(branch, links)
    before = matrices(links)
    branch = run(branch, steps[6:])
    torch.testing.assert_close(matrices(links), before, rtol=0, atol=0)
    same_tensors(run(links, steps[6:]), branch)


def test_rewind_undoes_updates_and_resets_bit_for_bit():
    steps = program(7)
    links = run(SparseLinks.empty(2, N), steps[:4])
    with links.journalling():
        before, version = links.tensors(), links.version
        changed = run(links, steps[4:7]).reset(torch.tensor([True, False]))
        changed = run(changed, steps[7:])
        links = changed.rewind(version)
        torch.testing.assert_close(links.tensors(), before, rtol=0, atol=0)
        assert links.version == version
        with pytest.raises(StaleStateError):
            changed.tensors()
        again = run(links, steps[4:7]).tensors()
    torch.testing.assert_close(again, run(SparseLinks.empty(2, N), steps[:7]).tensors(), rtol=0, atol=0)


def test_rewind_without_a_journal_or_beyond_it_is_refused():
    links = run(SparseLinks.empty(2, N), program(0))
    with pytest.raises(RuntimeError, match="keep no journal"):
        links.rewind(0)
    with links.journalling(), pytest.raises(ValueError, match="cannot rewind to version 3: the journal covers"):
        links.rewind(3)


def test_grown_links_keep_what_is_linked():
    steps = program(9)
    small, large = run(SparseLinks.empty(2, N), steps[:6]), run(SparseLinks.empty(2, 50), steps[:6])
    grown = small.grow(50)
    same_tensors(grown, large)
    last = program(10, slots=50)
    torch.testing.assert_close(matrices(run(grown, last)), matrices(run(large, last)), rtol=0, atol=0)
    with pytest.raises(StaleStateError):
        small.tensors()
    with pytest.raises(ValueError, match="50 slots cannot shrink to 6"):
        SparseLinks.empty(1, 50).grow(6)


def test_links_survive_a_dict():
    steps = program(11)
    links = run(SparseLinks.empty(2, N), steps[:6])
    restored = SparseLinks.empty(1, N).from_tensors(links.tensors())
    restored, links = run(restored, steps[6:]), run(links, steps[6:])
    same_tensors(restored, links)
    with pytest.raises(ValueError, match="do not fit: expected names"):
        SparseLinks.empty(1, N, entries=3).from_tensors(restored.tensors())


def test_links_survive_a_file(tmp_path: Path):
    steps = program(13)
    links = run(SparseLinks.empty(2, N, entries=3, decay="both"), steps[:6])
    path = tmp_path / "links"
    links.save(path)
    content = path.read_bytes()
    restored = SparseLinks.load(path)
    same_tensors(run(restored, steps[6:]), run(links, steps[6:]))
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_file_cut_short_or_altered_is_refused_by_name(tmp_path: Path):
    path = tmp_path / "board"
    run(SparseLinks.empty(2, N), program(13)).save(path)
    content = path.read_bytes()
    path.write_bytes(content[:-100])
    with pytest.raises(ValueError, match="board holds no sparse links, or was cut short"):
        SparseLinks.load(path)
    logs = run(SparseLinks.empty(2, N), program(13)).tensors()["logs"].numpy().tobytes()
    begin = content.index(logs)
    path.write_bytes(content[:begin] + bytes([content[begin] ^ 1]) + content[begin + 1 :])
    with pytest.raises(ValueError, match="board was altered"):
        SparseLinks.load(path)


def test_slot_beyond_the_links_is_refused():
    with pytest.raises(ValueError, match="slot 6 is written and these links have 6 slots"):
        SparseLinks.empty(1, N).update(torch.tensor([[6]]), torch.ones(1, 1), torch.tensor([[-1]]))


def test_links_larger_than_the_machine_are_refused_before_they_are_made():
    with pytest.raises(ValueError, match="GiB when all are written and cpu has"):
        SparseLinks.empty(1 << 20, 1 << 20)


def test_links_changed_in_inference_mode_can_be_changed_outside():
    steps = program(15)
    with torch.inference_mode():
        links = run(SparseLinks.empty(2, N), steps[:4])
    same_tensors(run(links, steps[4:]), run(SparseLinks.empty(2, N), steps))


def test_largest_sums_keep_ties_at_the_lowest_slot_and_drop_nothing_else():
    slots = torch.tensor([[5, 3, -1, 5, 1, 3]])
    weights = torch.tensor([[0.25, 0.25, 9.0, 0.25, 0.5, 0.25]])
    found, sums = largest_sums(slots, weights, 2)
    assert found.tolist() == [[1, 3]]
    assert sums.tolist() == [[0.5, 0.5]]
    found, sums = largest_sums(slots, weights, 8)
    assert found.tolist() == [[1, 3, 5, -1, -1, -1, -1, -1]]
    assert sums.tolist() == [[0.5, 0.5, 0.5, 0, 0, 0, 0, 0]]
    # Long enough for a sort that is not stable to disturb equals.
    assert largest_sums(torch.arange(300).flip(0), torch.ones(300), 5)[0].tolist() == [0, 1, 2, 3, 4]


def test_links_are_part_of_a_state():
    assert isinstance(SparseLinks.empty(1, 4), StatePart)


def full_links(slots: int) -> SparseLinks:
    """Links in which every row is full."""
    generator = torch.Generator().manual_seed(0)
    return SparseLinks.empty(1, slots).from_tensors(
        {
            "names": torch.randint(1, slots + 1, (1, slots, 2, 8), generator=generator, dtype=torch.int32),
            "logs": torch.rand(1, slots, 2, 8, generator=generator, dtype=torch.float64) - 3,
            "survival": torch.zeros(1, slots, 2, dtype=torch.float64),
            "used": torch.tensor([slots]),
            "recent_slots": torch.arange(8).unsqueeze(0),
            "recent_weights": torch.full((1, 8), 0.1, dtype=torch.float64),
        }
    )


def seconds_a_step(links: SparseLinks, steps: int = 60) -> float:
    """Median time of an update and a read of 4 heads with 4 slots each, all over the memory."""
    generator, times = torch.Generator().manual_seed(1), []
    for _ in range(steps):
        slots = torch.randint(links.slots, (1, 4, 4), generator=generator)
        weights, erased = torch.full((1, 4, 4), 0.1), torch.randint(links.slots, (1, 4), generator=generator)
        begin = time.thread_time()
        links = links.update(slots.flatten(1), weights.flatten(1), erased)
        links.follow(slots, weights)
        times.append(time.thread_time() - begin)
    return sorted(times)[steps // 2]


def test_step_of_a_quarter_million_slots_costs_what_one_of_a_thousand_does():
    seconds_a_step(full_links(1 << 10))  # warm up
    # Measured 1.1 to 1.3 times: rows that lie apart miss the cache. A pass over all slots would be over 100 times.
    assert seconds_a_step(full_links(1 << 18)) < 3 * seconds_a_step(full_links(1 << 10))
