"""The SDNC as a whole: against a dense float64 loop, against SAM, and what it promises beyond both.

Legend: B batch, T time, D input width, H heads, N slots, W word size, C slots that a head reads, E entries of a row.
"""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lukasa import memory
from lukasa.memory.sparse import StaleStateError
from tests.memory.dense_sdnc import DenseSDNC
from tests.memory.interface import raw_gate, steer
from tests.memory.samples import Sampler, lively_core, reached_state

CLOSE: dict[str, Any] = {"rtol": 0, "atol": 1e-10}
WIDE: dict[str, Any] = {"rtol": 1e-9, "atol": 1e-9}  # gradients of hundreds
SMALL: dict[str, Any] = {"word_size": 3, "controller_size": 4, "index": "exact"}
BACKWARD, CONTENT, FORWARD = (60 * torch.eye(3, dtype=torch.float64)[mode].expand(1, 3) for mode in range(3))
few_runs = settings(derandomize=True, deadline=None, max_examples=15, database=None)


def sdnc(**options: Any) -> Any:
    return lively_core("sdnc", **{**SMALL, **options})


@few_runs
@given(
    seed=st.integers(0, 2**31),
    slots=st.integers(3, 9),
    heads=st.integers(1, 2),
    reads=st.integers(1, 3),
    links=st.sampled_from([1, 2, 9]),
    decay=st.sampled_from(["later", "both"]),
    cut=st.integers(0, 9),
)
def test_runs_with_resets_reuse_and_truncation_equal_the_dense_loop(
    seed: int, slots: int, heads: int, reads: int, links: int, decay: str, cut: int
):
    """Outputs, memory and every gradient; few slots, so that linked ones are re-used; cut: a detached step."""
    core = sdnc(slots=slots, heads=heads, reads=reads, links=links, link_decay=decay, seed=seed % 1000)
    sampler = Sampler(seed)
    inputs = (2 * sampler.normal(2, 10, 3)).requires_grad_()
    starts = torch.rand(2, 10, generator=sampler.generator) < 0.15
    state, truth = core.initial_state(2), DenseSDNC(core, 2)
    outputs, expected = [], []
    for step in range(10):
        if step == cut:
            state = memory.detach_state(state)
            truth.detach()
        state = memory.reset_rows(state, core.initial_state(2), starts[:, step])
        truth.reset(starts[:, step].tolist())
        output, state = core(inputs[:, step], state)
        outputs.append(output)
        expected.append(truth.step(inputs[:, step]))
    torch.testing.assert_close(torch.stack(outputs), torch.stack(expected), **CLOSE)
    rows = state.memory.tensors()["rows"]
    dense = torch.stack([row.memory for row in truth.rows])[:, : rows.shape[1]]
    torch.testing.assert_close(rows, dense, **CLOSE)
    factor, leaves = sampler.normal(*rows.shape), [inputs, *core.parameters()]
    found = torch.autograd.grad(torch.stack(outputs).square().sum() + (factor * rows).sum(), leaves)
    truly = torch.autograd.grad(torch.stack(expected).square().sum() + (factor * dense).sum(), leaves)
    torch.testing.assert_close(found, truly, **WIDE)


def test_heads_that_read_by_content_alone_make_it_a_sam():
    core, sam = sdnc(slots=8, heads=2, reads=3), lively_core("sam", **SMALL, slots=8, heads=2, reads=3)
    with torch.no_grad():
        modes = core.interface.weight[-6:]
        modes.zero_()
        core.interface.bias[-6:] = torch.tensor([-60.0, 60.0, -60.0]).repeat(2)
        shared = {name: part for name, part in core.state_dict().items() if not name.startswith("interface")}
        interface = {f"interface.{name}": core.state_dict()[f"interface.{name}"][:-6] for name in ("weight", "bias")}
        sam.load_state_dict({**shared, **interface})
    inputs = 2 * Sampler(0).normal(2, 15, 3)
    torch.testing.assert_close(memory.unroll(core, inputs)[0], memory.unroll(sam, inputs)[0], **CLOSE)


@pytest.mark.parametrize(("mode", "expected"), [(FORWARD, [4, 5]), (BACKWARD, [2, 1])], ids=["forward", "backward"])
def test_read_mode_follows_the_order_of_writing(mode: Tensor, expected: list[int]):
    """Seven words are written one a step, then slot 3 is read and the gate closed."""
    core = sdnc(slots=20, heads=1, reads=2)
    told = {"interpolation_gates": raw_gate(0, 1), "words": torch.ones(1, 3), "read_modes": CONTENT}
    steer(core, **told, write_gates=raw_gate(1, 1))
    _, state = memory.unroll(core, torch.zeros(1, 7, 3).double())
    state = state._replace(read_slots=torch.tensor([[[3, -1]]]), read_weights=torch.tensor([[[1.0, 0.0]]]).double())
    steer(core, **told | {"read_modes": mode}, write_gates=raw_gate(0, 1))
    for slot in expected:
        _, state = core(torch.zeros(1, 3).double(), state)
        assert state.read_slots[0, 0, 0] == slot
        assert state.read_weights[0, 0].sum().item() == pytest.approx(1)


def test_read_weights_are_non_negative_and_sum_to_at_most_one_where_links_fade_at_both_ends():
    core = sdnc(slots=6, heads=2, reads=4, link_decay="both")
    state = core.initial_state(4)
    for x in (2 * Sampler(1).normal(4, 40, 3)).unbind(1):
        _, state = core(x, state)
        assert (state.read_weights >= 0).all()
        assert (state.read_weights.sum(-1) <= 1 + 1e-12).all()
        read = [[slot for slot in head if slot >= 0] for head in state.read_slots.flatten(0, 1).tolist()]
        assert all(len(set(head)) == len(head) for head in read)


def test_state_that_was_used_is_refused_and_a_fork_is_not():
    core, x = sdnc(slots=8), torch.zeros(1, 3).double()
    state = reached_state(core, 1)
    twin = memory.fork_state(state)
    expected, _ = core(x, state)
    with pytest.raises(StaleStateError, match="use the newest state"):
        core(x, state)
    with pytest.raises(StaleStateError, match="this state's links were changed since"):
        core(x, state._replace(memory=memory.fork_state(twin).memory))
    torch.testing.assert_close(core(x, twin)[0], expected, rtol=0, atol=0)


def test_rewound_state_goes_on_as_it_did():
    core, inputs = sdnc(slots=6), 2 * Sampler(2).normal(2, 8, 3)
    state = reached_state(core, 2)
    with torch.no_grad(), state.memory.journalling(), state.links.journalling():
        outputs, last = memory.unroll(core, inputs, state)
        back = state._replace(
            memory=last.memory.rewind(state.memory.version), links=last.links.rewind(state.links.version)
        )
        again, _ = memory.unroll(core, inputs, back)
    torch.testing.assert_close(again, outputs, rtol=0, atol=0)


def test_grown_memory_takes_its_links_along():
    core, large = sdnc(slots=6, heads=2), sdnc(slots=30, heads=2)
    inputs = 2 * Sampler(3).normal(2, 12, 3)
    _, state = memory.unroll(core, inputs[:, :2])
    _, expected = memory.unroll(large, inputs[:, :2])
    state = state._replace(memory=state.memory.grow(30))
    outputs, last = memory.unroll(core, inputs[:, 2:], state)
    torch.testing.assert_close(outputs, memory.unroll(large, inputs[:, 2:], expected)[0], **CLOSE)
    assert last.links.slots == 30


def test_core_under_autocast_keeps_memory_and_links_whole():
    torch.manual_seed(0)
    core: Any = memory.make_core("sdnc", input_size=3, output_size=2, **SMALL, slots=8)
    with torch.autocast("cpu", torch.bfloat16):
        outputs, state = memory.unroll(core, torch.randn(2, 6, 3))
    assert outputs.dtype == torch.bfloat16
    assert state.reads.dtype == state.read_weights.dtype == state.memory.tensors()["rows"].dtype == torch.float32


@pytest.mark.parametrize(("option", "value"), [("reads", 9), ("heads", 9)])
def test_more_reads_or_heads_than_slots_are_refused(option: str, value: int):
    with pytest.raises(ValueError, match=f"'{option}' of core 'sdnc' is 9: expected at most 8"):
        sdnc(slots=8, **{option: value})


def ordered_recall(batch_size: int, generator: torch.Generator, items: int = 4) -> tuple[Tensor, Tensor]:
    """Items are shown one a step, then asked for in their order; input: one-hot of 4 symbols and a flag that asks.

    Returns:
        Inputs [B, 2 items, 5] and symbols [B, items]; by chance a quarter is right.
    """
    symbols = torch.randint(4, (batch_size, items), generator=generator)
    inputs = torch.zeros(batch_size, 2 * items, 5)
    inputs[:, :items, :4] = torch.nn.functional.one_hot(symbols, 4).float()
    inputs[:, items:, 4] = 1
    return inputs, symbols


def test_learns_to_recall_in_order():
    """With a feed-forward controller: what it remembers is in the memory."""
    torch.manual_seed(0)
    options = {"slots": 64, "word_size": 8, "heads": 1, "index": "exact", "controller": "feedforward"}
    core = memory.make_core("sdnc", input_size=5, output_size=4, controller_size=32, **options)
    optimiser, generator = torch.optim.Adam(core.parameters(), lr=0.01), torch.Generator().manual_seed(0)
    right = torch.zeros(())
    for _ in range(400):
        inputs, symbols = ordered_recall(16, generator)
        answers = memory.unroll(core, inputs)[0][:, 4:]
        right = (answers.argmax(-1) == symbols).float().mean()
        if right > 0.75:
            break
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(answers.flatten(0, 1), symbols.flatten()).backward()
        optimiser.step()
    assert right > 0.75
