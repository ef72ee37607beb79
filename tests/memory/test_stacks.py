"""Stack and list RNNs against loops written from the paper, and against stacks and lists of Python.

Legend: B batch, T time, D input width, H hidden units, S stacks or lists, N elements of each, W numbers of an element.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from lukasa import memory
from lukasa.memory.stacks.list_rnn import move_and_insert
from lukasa.memory.stacks.mover import EMPTY, Moves, rounded_to_one
from lukasa.memory.stacks.stack_rnn import push_and_pop
from tests.memory.core_rows import LIST, STACK
from tests.memory.gradients import check_core_gradients
from tests.memory.oracles import Array, Named, sigmoid, softmax
from tests.memory.samples import Sampler, lively_core, reached_state

PUSH, POP, LEFT, RIGHT, INSERT = 0, 1, 0, 1, 2
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "stack": ("stack_rnn", STACK),
    "stack with no-op": ("stack_rnn", {**STACK, "no_op": True}),
    "stack of words, three read": ("stack_rnn", {**STACK, "word_size": 3, "elements": 3}),
    "stack of one element": ("stack_rnn", {**STACK, "depth": 1, "elements": 1}),
    "stack as deep as what is read": ("stack_rnn", {**STACK, "depth": 2}),
    "stack without recurrent units": ("stack_rnn", {**STACK, "recurrent": False}),
    "list": ("list_rnn", LIST),
    "list with no-op": ("list_rnn", {**LIST, "no_op": True}),
    "list of words, two read": ("list_rnn", {**LIST, "word_size": 3, "elements": 2}),
    "list read whole": ("list_rnn", {**LIST, "reach": 1, "elements": 3}),
    "list without recurrent units": ("list_rnn", {**LIST, "recurrent": False}),
}
EVERY_CASE = pytest.mark.parametrize(("name", "options"), CASES.values(), ids=CASES)


def element(held: Array, place: int) -> Array:
    """What lies at a place; -1 above the top, below the bottom and beyond the ends."""
    return held[place] if 0 <= place < len(held) else np.full(held.shape[1:], -1.0)


def moved_stack(held: Array, actions: Array, word: Array) -> Array:
    """Eq. 3 and 4, with NO-OP where there is one: stack [N, W]."""
    after = np.empty_like(held)
    for i in range(len(held)):
        above = word if i == 0 else held[i - 1]
        after[i] = actions[PUSH] * above + actions[POP] * element(held, i + 1)
        if len(actions) == 3:
            after[i] += actions[2] * held[i]
    return after


def moved_list(held: Array, actions: Array, word: Array) -> Array:
    """Section 3.2, the three cases of i and the head: list [N, W]."""
    head, after = len(held) // 2, np.empty_like(held)
    for i in range(len(held)):
        inserted = word if i == head else (element(held, i + 1) if i < head else held[i])
        after[i] = actions[RIGHT] * element(held, i + 1) + actions[LEFT] * element(held, i - 1)
        after[i] += actions[INSERT] * inserted
        if len(actions) == 4:
            after[i] += actions[3] * held[i]
    return after


def read_places(name: str, shape: tuple[int, ...], elements: int) -> list[int]:
    if name == "stack_rnn":
        return list(range(elements))
    head = shape[1] // 2
    return [head, head + 1, head - 1, head + 2, head - 2][:elements]


def step(parameters: Named, name: str, elements: int, x: Array, held: Array, hidden: Array, hard: bool) -> Any:
    """One step of one row: structures [S, N, W] and hidden units [H]."""
    inside = {key.removeprefix("controller."): one for key, one in parameters.items()}
    tops = np.stack([held[:, place] for place in read_places(name, held.shape, elements)], 1)
    emitted = inside["inputs.weight"] @ x + inside["inputs.bias"] + inside["elements.weight"] @ tops.ravel()
    if "hidden.weight" in inside:
        emitted = emitted + inside["hidden.weight"] @ hidden
    hidden = sigmoid(emitted)
    scores = (inside["actions.weight"] @ hidden + inside["actions.bias"]).reshape(len(held), -1)
    words = sigmoid(inside["words.weight"] @ hidden + inside["words.bias"]).reshape(len(held), -1)
    after = []
    for one, score, word in zip(held, scores, words, strict=True):
        actions = np.eye(len(score))[score.argmax()] if hard else softmax(score)
        after.append((moved_stack if name == "stack_rnn" else moved_list)(one, actions, word))
    return parameters["output.weight"] @ hidden + parameters["output.bias"], np.stack(after), hidden


@EVERY_CASE
@pytest.mark.parametrize("hard", [False, True], ids=["soft", "rounded"])
def test_outputs_and_state_are_those_of_the_paper(name: str, options: dict[str, Any], hard: bool):
    core = lively_core(name, **options, rounding="eval").train(not hard)
    parameters = {key: one.detach().numpy() for key, one in core.named_parameters()}
    inputs, state = 2 * Sampler(1).normal(2, 6, 3), reached_state(core, 2)
    outputs, last = memory.unroll(core, inputs, state)
    recurrent = options.get("recurrent", True)
    for row in range(2):
        held = state[0][row].numpy()
        hidden = state.controller.hidden[row].numpy() if recurrent else np.zeros(0)
        for time in range(6):
            read = core.get_parameter("controller.elements.weight").shape[1] // (held.shape[0] * held.shape[2])
            y, held, hidden = step(parameters, name, read, inputs[row, time].numpy(), held, hidden, hard)
            np.testing.assert_allclose(outputs[row, time].detach().numpy(), y, rtol=0, atol=1e-11)
        np.testing.assert_allclose(last[0][row].detach().numpy(), held, rtol=0, atol=1e-11)
        if recurrent:
            np.testing.assert_allclose(last.controller.hidden[row].detach().numpy(), hidden, rtol=0, atol=1e-11)


@pytest.mark.parametrize("no_op", [False, True])
@pytest.mark.parametrize(("name", "options"), [("stack_rnn", STACK), ("list_rnn", LIST)])
def test_gradients_are_those_of_finite_differences(name: str, options: dict[str, Any], no_op: bool):
    core = lively_core(name, **{**options, "size": 3, "no_op": no_op})
    check_core_gradients(core, Sampler(2).normal(2, 3, 3), reached_state(core, 2))


def certain(action: int, actions: int, word: float) -> Moves:
    chosen = torch.zeros(1, 1, actions)
    chosen[..., action] = 1
    return Moves(chosen, torch.full((1, 1, 1), word))


def test_certain_actions_are_those_of_a_stack():
    """Random pushes, pops and no-ops, more pops than pushes at times, and more pushes than there is room for."""
    draw, stack, depth = np.random.default_rng(0), torch.full((1, 1, 5, 1), EMPTY), 5
    expected: list[float] = []
    for number in range(200):
        action = int(draw.choice(3, p=[0.5, 0.4, 0.1]))
        word = 0.5 + number
        stack = push_and_pop(stack, certain(action, 3, word))
        if action == PUSH:
            expected = [word, *expected][:depth]  # what is pushed below is lost
        elif action == POP:
            expected = expected[1:]
        assert stack.flatten().tolist() == [*expected, *[EMPTY] * (depth - len(expected))]


def test_what_fell_off_the_bottom_does_not_come_back():
    stack = torch.full((1, 1, 2, 1), EMPTY)
    for word in (1.0, 2.0, 3.0):
        stack = push_and_pop(stack, certain(PUSH, 2, word))
    assert stack.flatten().tolist() == [3, 2]
    for top in ([2, EMPTY], [EMPTY, EMPTY], [EMPTY, EMPTY]):
        stack = push_and_pop(stack, certain(POP, 2, 9.0))
        assert stack.flatten().tolist() == top


def test_certain_actions_are_those_of_a_linked_list():
    """Left and right of a head, beyond both ends of what was inserted: a list of Python, and a place in it."""
    draw, reach = np.random.default_rng(1), 60
    held = torch.full((1, 1, 2 * reach + 1, 1), EMPTY)
    places, head = [EMPTY] * 500, 250
    for number in range(50):
        action = int(draw.choice(4, p=[0.2, 0.2, 0.5, 0.1]))
        held = move_and_insert(held, certain(action, 4, 0.5 + number))
        if action == LEFT:
            head -= 1
        elif action == RIGHT:
            head += 1
        elif action == INSERT:  # at the head: what was there, and all before it, is to its left
            places.insert(head + 1, 0.5 + number)
            head += 1
        assert held.flatten().tolist() == places[head - reach : head + reach + 1]


def test_a_list_reads_its_head_then_right_and_left_in_turn():
    core = memory.make_core("list_rnn", input_size=3, output_size=2, reach=4, elements=5)
    assert core.places == [4, 5, 3, 6, 2]


@pytest.mark.parametrize(("name", "what"), [("stack_rnn", "stack_actions"), ("list_rnn", "list_actions")])
def test_actions_are_rounded_in_evaluation_alone_and_only_if_asked_for(name: str, what: str):
    for rounding, training, hard in (
        ("never", True, False),
        ("never", False, False),
        ("eval", True, False),
        ("eval", False, True),
    ):
        core = memory.make_core(name, input_size=3, output_size=2, rounding=rounding).train(training)
        assert core.rounds == memory.without(core, "memory").rounds == (rounding == "eval")
        with memory.record(core) as recording:
            memory.unroll(core, Sampler(3).normal(2, 4, 3).float())
        actions = recording.stacked()[what]
        torch.testing.assert_close(actions.sum(-1), torch.ones(2, 4, 10))
        assert bool(((actions == 0) | (actions == 1)).all()) == hard


def test_of_equal_actions_the_first_is_taken():
    assert rounded_to_one(torch.tensor([[0.2, 0.4, 0.4]])).tolist() == [[0, 1, 0]]


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("stack_rnn", {"depth": 2, "elements": 3}, "option 'elements' of core 'stack_rnn' is 3: expected at most 2"),
        ("list_rnn", {"reach": 1, "elements": 4}, "option 'elements' of core 'list_rnn' is 4: expected at most 3"),
        ("stack_rnn", {"rounding": "test"}, "option 'rounding' of core 'stack_rnn' is 'test': choose one of 'never'"),
        ("list_rnn", {"no_op": 1}, "option 'no_op' of core 'list_rnn' is 1: expected True or False"),
    ],
)
def test_what_cannot_be_is_refused(name: str, options: dict[str, Any], told: str):
    with pytest.raises(ValueError, match=told):
        memory.make_core(name, input_size=3, output_size=2, **options)


def test_sizes_of_the_paper_are_the_defaults():
    """40 hidden units, 10 stacks of scalars, of which the two on top are read."""
    state = memory.make_core("stack_rnn", input_size=3, output_size=2).initial_state(1)
    assert (state.stacks.shape, state.controller.hidden.shape) == ((1, 10, 200, 1), (1, 40))
    assert bool((state.stacks == EMPTY).all())
