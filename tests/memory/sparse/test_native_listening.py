"""Whole sequences and single steps in native code while somebody follows: the answers of a listener, and what it hears.

Legend: B batch, T steps, H heads, C slots that a head reads.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lukasa import memory
from lukasa.memory.kernels.sparse_access import native
from lukasa.memory.sparse.bounds import UnstorableError
from lukasa.memory.sparse.listener import UNKNOWN
from tests.memory.sparse.following import Answers, Heard, Notes, follow
from tests.memory.sparse.test_native_sequence import EVERY_CORE, TOLERANCE, lived, make, options_of, same

pytest.importorskip("numba")
STEPS = 9


def program(name: str, seed: int, dtype: torch.dtype, index: str = "exact") -> tuple[Any, Tensor, Tensor | None]:
    """A core, inputs [B, T, D] and where rows are reset, bool [B, T] or None."""
    core = make(name, seed, dtype, index=index, **options_of(name, seed))
    inputs = torch.randn(1 + seed % 5, STEPS, 3, dtype=dtype)
    return core, inputs, torch.rand(inputs.shape[:2]) < 0.15 if seed % 3 else None


def heard(core: Any, inputs: Tensor, starts: Tensor | None, by_steps: bool = True) -> tuple[Notes, Notes]:
    """What those hear who follow the memory and the links of a life; see ``lived``."""
    notes = Notes(core.heads), Notes(core.heads)
    lived(core, inputs, starts, by_steps, follow(core.initial_state(len(inputs)), *notes))
    return notes


def choices_of_another(name: str, seed: int, core: Any, inputs: Tensor, starts: Tensor | None) -> Tensor:
    """What a core of other weights chose in the same life, which this one would not: [B, (2 T + 1) (H + H C)]."""
    another = make(name, seed + 1000, inputs.dtype, index="exact", **options_of(name, seed))
    return heard(another, inputs, starts)[0].choices()


def told(core: Any, inputs: Tensor, starts: Tensor | None, choices: Tensor, by_steps: bool) -> Any:
    """A life with the answers given, and who gave them."""
    answers = Answers(choices)
    return lived(core, inputs, starts, by_steps, follow(core.initial_state(len(inputs)), answers)), answers


def forgotten(choices: Tensor, core: Any, seed: int) -> Tensor:
    """The choices with ``UNKNOWN`` from some step of each row on, and one of a row's first steps too."""
    draw, width = np.random.default_rng(seed), core.heads * (1 + core.reads)
    steps = choices.clone().unflatten(1, (-1, width))
    for row in range(len(steps)):
        steps[row, draw.integers(steps.shape[1] + 1) :] = UNKNOWN
    return steps.flatten(1)


@EVERY_CORE
@pytest.mark.parametrize(("dtype", "programs"), [(torch.float64, 30), (torch.float32, 12)], ids=str)
def test_answers_that_are_given_are_taken_in_native_code(name: str, dtype: torch.dtype, programs: int):
    for seed in range(programs):
        core, inputs, starts = program(name, seed, dtype)
        choices = choices_of_another(name, seed, core, inputs, starts)
        (mine, one), (plain, other) = (told(core, inputs, starts, choices, way) for way in (False, True))
        same(mine, plain, TOLERANCE[dtype], (seed, options_of(name, seed)))
        assert one.native == 2 * STEPS + (name == "sam")  # a step of an sdnc alone runs by the equations
        assert one.place == other.place == choices.shape[1]
        assert other.native == 0


@EVERY_CORE
@pytest.mark.parametrize(("dtype", "programs"), [(torch.float64, 30), (torch.float32, 12)], ids=str)
def test_where_answers_end_the_memory_is_asked_as_the_equations_ask_it(name: str, dtype: torch.dtype, programs: int):
    differing = 0
    for seed in range(programs):
        core, inputs, starts = program(name, seed, dtype)
        choices = choices_of_another(name, seed, core, inputs, starts)
        some = forgotten(choices, core, seed)
        (mine, one), (plain, _) = (told(core, inputs, starts, some, way) for way in (False, True))
        same(mine, plain, TOLERANCE[dtype], (seed, options_of(name, seed)))
        assert one.native >= 2 * STEPS
        differing += not torch.equal(told(core, inputs, starts, choices, True)[0]["two"], plain["two"])
    assert differing > programs // 2  # with its own choices it does something else


def assert_same_heard(mine: Heard, plain: Heard, what: object) -> None:
    assert [kind for kind, _ in mine] == [kind for kind, _ in plain], what
    for place, ((kind, found), (_, expected)) in enumerate(zip(mine, plain, strict=True)):
        assert found.dtype == expected.dtype, (what, place, kind)
        assert torch.equal(found, expected), (what, place, kind)


@EVERY_CORE
@pytest.mark.parametrize("index", ["lists", "exact"])
def test_who_listens_hears_of_native_code_what_the_equations_say_in_the_same_order(name: str, index: str):
    """In float64: in float32 two words may be so near to one another that rounding decides."""
    for seed in range(24):
        core, inputs, starts = program(name, seed, torch.float64, index)
        (mine, links), (plain, of_links) = (heard(core, inputs, starts, way) for way in (False, True))
        assert_same_heard(mine.heard, plain.heard, (seed, "memory"))
        assert_same_heard(links.heard, of_links.heard, (seed, "links"))
        assert mine.native == 2 * STEPS + (name == "sam")
        assert plain.native == 0
        assert links.native == (0 if name == "sam" else 2 * STEPS)


@EVERY_CORE
def test_somebody_who_listens_to_native_code_changes_no_bit(name: str):
    core, inputs, starts = program(name, 4, torch.float32, "lists")
    expected = lived(core, inputs, starts, False)
    state = follow(core.initial_state(len(inputs)), Notes(core.heads), Notes(core.heads))
    found = lived(core, inputs, starts, False, state)
    assert all(torch.equal(part, found[key]) for key, part in expected.items())


@EVERY_CORE
def test_an_agent_that_acts_step_by_step_is_followed_natively(name: str):
    """One step a call, without gradient, rows reset between them, as on a runner."""
    found = []
    for by_steps in (False, True):
        core = make(name, 3, slots=9, word_size=3, heads=2, reads=3, controller_size=6)
        state, told, starts = core.initial_state(4), [], torch.rand(12, 4, generator=torch.Generator().manual_seed(0))
        torch.manual_seed(5)
        with torch.no_grad(), native_or_not(by_steps):
            for time in range(12):
                notes = Notes(core.heads), Notes(core.heads)
                state = memory.reset_rows(state, core.initial_state(4), starts[time] < 0.2)
                _, state = memory.unroll(core, torch.randn(4, 1, 3).double(), follow(state, *notes))
                told.append([*notes[0].heard, *notes[1].heard])
                # the first step makes room for the memory, of a sam in PyTorch
                assert notes[0].native == (not by_steps and (name == "sdnc" or time > 0))
        found.append(told)
    for time, (mine, plain) in enumerate(zip(*found, strict=True)):
        assert_same_heard(mine, plain, time)


@EVERY_CORE
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_an_exact_index_is_searched_natively_and_goes_on_with_the_equations(name: str, dtype: torch.dtype):
    for seed in range(16):
        core, inputs, starts = program(name, seed, dtype)
        assert memory.why_slow(core, inputs).endswith("in native code")
        same(*(lived(core, inputs, starts, way) for way in (False, True)), TOLERANCE[dtype], seed)
        with torch.no_grad():
            _, state = memory.unroll(core, inputs, None, starts)
            queries = torch.randn(len(inputs), 4, core.word_size, dtype=dtype)
            found = state.memory.search(queries, core.reads)
            assert torch.equal(found, state.memory.fork().search(queries, core.reads)), seed


@EVERY_CORE
def test_without_gradients_answers_give_the_same_bits(name: str):
    core, inputs, starts = program(name, 1, torch.float32)
    choices = forgotten(choices_of_another(name, 1, core, inputs, starts), core, 0)
    found = []
    for gradient in (True, False):
        with torch.set_grad_enabled(gradient):
            answers = Answers(choices)
            outputs, state = memory.unroll(core, inputs, follow(core.initial_state(len(inputs)), answers), starts)
        assert answers.native == STEPS
        found.append({"outputs": outputs.detach(), **memory.state_to_dict(memory.detach_state(state))})
    assert all(torch.equal(part, found[1][key]) for key, part in found[0].items())


@EVERY_CORE
def test_answers_that_name_no_slot_or_write_one_too_early_are_refused(name: str):
    core = make(name, slots=12, word_size=4, heads=2, reads=2, controller_size=5)
    inputs, width = torch.randn(2, 5, 3, dtype=torch.float64), 6
    for place, slot, message in ((3, 12, "slots -2 to 12 of a memory of 12"), (0, -1, "expected slots from 0 on")):
        choices = torch.full((2, width), UNKNOWN)
        choices[1, place] = slot
        with pytest.raises(ValueError, match=message):
            memory.unroll(core, inputs, follow(core.initial_state(2), Answers(choices)))
    for by_steps in (False, True):  # the second step writes slot 7 before those below it
        choices = torch.full((2, 2 * width), UNKNOWN)
        choices[1, width] = 7
        with native_or_not(by_steps), pytest.raises(ValueError, match="slots up to 7 cannot be written while"):
            memory.unroll(core, inputs, follow(core.initial_state(2), Answers(choices)))


@EVERY_CORE
def test_a_key_that_nobody_looks_for_may_be_too_large(name: str):
    core = make(name, dtype=torch.float32, slots=12, word_size=4, heads=2, reads=2, controller_size=5)
    inputs, width = torch.randn(2, 5, 3), 6
    choices = heard(core, inputs, None)[0].choices()[:, : 5 * width]
    with torch.no_grad():
        core.interface.bias[:4] = 1e30  # the first head's key
    some, found = choices.clone(), []
    some[1, -4] = UNKNOWN  # what is nearest to it at the last step
    for by_steps in (False, True):
        with native_or_not(by_steps):
            found.append(memory.unroll(core, inputs, follow(core.initial_state(2), Answers(choices)))[0].detach())
            with pytest.raises(UnstorableError, match=r"query 0 of row [01] holds 1e\+30"):
                memory.unroll(core, inputs, follow(core.initial_state(2), Answers(some)))
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-5)


@EVERY_CORE
def test_a_listener_that_is_to_be_asked_at_each_step_is_asked(name: str):
    class Asked(Notes):
        known = property()  # as of a listener that has no such method

    core, inputs, _ = program(name, 1, torch.float32, "lists")
    notes = Asked(core.heads)
    state = follow(core.initial_state(len(inputs)), notes)
    assert "a listener that does not say its answers beforehand" in memory.why_slow(core, inputs, state)
    _, state = memory.unroll(core, inputs, state)
    assert notes.native == 0
    assert len(notes.heard) == 4 * STEPS
    if name == "sdnc":
        state = follow(core.initial_state(len(inputs)), None, Asked(core.heads))
        assert "its links have a listener" in memory.why_slow(core, inputs, state)
    else:
        assert native.served(state.memory.store, inputs) is None


def native_or_not(by_steps: bool) -> Any:
    return memory.step_by_step() if by_steps else nullcontext()
