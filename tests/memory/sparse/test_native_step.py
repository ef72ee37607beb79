"""A step of SAM in native code against the step in PyTorch: outputs, memory, usage and all gradients."""

import pytest
import torch

from lukasa import memory
from lukasa.memory.kernels.sequence import calls, choice
from lukasa.memory.kernels.sparse_access import native
from lukasa.memory.sparse.bounds import UnstorableError
from tests.memory.threads import native_threads


def sizes(seed: int) -> dict:
    generator = torch.Generator().manual_seed(seed)
    pick = lambda *choices: choices[int(torch.randint(len(choices), (1,), generator=generator))]  # noqa: E731
    heads, reads = pick(1, 2, 4), pick(1, 3, 4)
    slots = max(heads, reads) + pick(0, 3, 30, 200)
    return {
        "slots": slots, "word_size": pick(2, 5, 8, 19), "heads": heads, "reads": reads, "delta": pick(0.005, 0.3),
        "controller": pick("lstm", "gru", "feedforward"), "controller_size": 7,
    }  # fmt: skip


def live(seed: int, dtype: torch.dtype, in_pytorch: bool, monkeypatch) -> list[torch.Tensor]:
    """Two chunks with resets in the first, the gradient passing through both.

    Words have two numbers or more: cosines of words of one number are 1 or -1 and tie up to rounding.
    """
    torch.manual_seed(seed)
    core = memory.make_core("sam", input_size=3, output_size=2, **sizes(seed)).to(dtype)
    with torch.no_grad():  # gates that saturate, strengths that are large; float32 would round to other slots
        core.interface.weight *= 1 + 30 * (seed % 4 == 0 and dtype == torch.float64)
    batch, steps = 1 + seed % 3, 9
    inputs = torch.randn(batch, steps, 3, dtype=dtype, requires_grad=True)
    starts = torch.rand(batch, steps) < 0.08
    with monkeypatch.context() as patch:
        patch.setattr(choice, "has_sparse_loops", lambda _: False)
        if in_pytorch:
            patch.setattr(native, "served", lambda *_: None)
        first, state = memory.unroll(core, inputs, starts=starts)
        second, state = memory.unroll(core, 0.5 * inputs, state)
        (first.square().sum() + second.sin().sum() + state.reads.sum() + state.read_weights.square().sum()).backward()
    parts = state.memory.tensors()
    grads = [inputs.grad, *(p.grad if p.grad is not None else torch.zeros_like(p) for p in core.parameters())]
    exact = [state.read_slots, parts["used"], parts["order"]]
    return [first, second, state.reads, state.read_weights, parts["rows"], *grads, *exact]


@pytest.mark.parametrize(("dtype", "tolerance", "programs"), [(torch.float64, 1e-10, 36), (torch.float32, 1e-4, 24)])
def test_outputs_memory_usage_and_gradients_are_those_of_pytorch(dtype, tolerance, programs, monkeypatch):
    for seed in range(programs):
        parts = zip(live(seed, dtype, False, monkeypatch), live(seed, dtype, True, monkeypatch), strict=True)
        for place, (mine, plain) in enumerate(parts):
            scale = max(float(plain.detach().abs().max()) if plain.numel() else 0.0, 1e-3)
            assert mine.shape == plain.shape
            assert torch.allclose(mine.detach().double(), plain.detach().double(), rtol=0, atol=tolerance * scale), (
                seed,
                place,
            )


def test_it_is_taken_and_left_for_a_journal_halves_and_where_there_is_no_compiler(monkeypatch):
    core = memory.make_core("sam", input_size=3, output_size=2, slots=64, word_size=4, heads=2, reads=2)
    inputs = torch.randn(2, 5, 3)
    _, state = memory.unroll(core, inputs)
    store, emitted = state.memory.store, torch.zeros(2, 4)
    assert native.served(store, emitted) is not None
    with state.memory.journalling():
        assert native.served(store, emitted) is None
    assert native.served(store, emitted.double()) is None
    with monkeypatch.context() as patch:
        for module in (calls, choice):
            patch.setattr(module, "has_numba", lambda: False)
        exact = memory.make_core("sam", input_size=3, output_size=2, slots=64, word_size=4, index="exact")
        _, state = memory.unroll(exact, inputs)
        assert native.served(state.memory.store, emitted) is None
    assert native.served(state.memory.store, emitted) is not None
    halves = memory.make_core("sam", input_size=3, output_size=2, slots=64, word_size=4, storage="float16")
    _, state = memory.unroll(halves, inputs)
    assert native.served(state.memory.store, emitted) is None


def test_the_same_bits_for_any_number_of_rows_and_threads(monkeypatch):
    monkeypatch.setattr(memory.sparse.indexes.packed_lists, "WORTH_THREADS", 0)
    options = {"slots": 300, "word_size": 8, "heads": 2, "reads": 3, "index": "lists"}
    torch.manual_seed(0)
    core = memory.make_core("sam", input_size=3, output_size=2, index_options={"exact_up_to": 40}, **options)
    state = core.initial_state(5)
    emitted = torch.randn(120, 5, core.interface.out_features)

    def run(rows: slice, threads: int) -> list[torch.Tensor]:
        with native_threads(threads), torch.no_grad():
            now = core.initial_state(len(range(5)[rows]))
            for step in emitted:
                now, _ = core.step(now, step[rows].contiguous())
            return [now.reads, now.read_slots, *now.memory.tensors().values()]

    assert state.memory.used.tolist() == [0] * 5
    together = run(slice(0, 5), 1)
    for mine, other in zip(run(slice(0, 5), 4), together, strict=True):
        assert torch.equal(mine, other)
    for mine, other in zip(run(slice(2, 3), 1), together, strict=True):
        assert torch.equal(mine, other[2:3])


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e30])
def test_what_cannot_be_stored_is_refused_and_nothing_changes(bad):
    core = memory.make_core("sam", input_size=3, output_size=2, slots=16, word_size=4, heads=2, reads=2)
    _, state = memory.unroll(core, torch.randn(1, 5, 3))
    state = memory.detach_state(state)
    rows, version = state.memory.tensors()["rows"].clone(), state.memory.version
    for place in (9, 1):  # a word, a key
        emitted = torch.zeros(1, core.interface.out_features)
        emitted[0, place] = bad
        if place == 9:
            emitted[0, 18:] = 5  # gates open
        with pytest.raises(UnstorableError):
            core.step(state, emitted)
        if place == 9:
            assert torch.equal(state.memory.tensors()["rows"], rows)
            assert state.memory.version == version
