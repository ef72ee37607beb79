"""Runners and learners of agents with a sparse memory run in native code, and do what they do by the equations.

Legend: B batch, T steps.
"""

from contextlib import nullcontext

import numpy as np
import pytest
import torch
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.columns import Columns

from lukasa import memory
from lukasa.agents.rllib.journal import MemoryJournal
from lukasa.agents.rllib.module import LIVE_STATE, used_steps
from lukasa.agents.rllib.replay.columns import columns_of
from lukasa.agents.rllib.replay.q_module import Q_VALUES
from lukasa.agents.rllib.slot_choices import Recording, Replay
from lukasa.agents.rllib.sparse_states import followed
from lukasa.memory.kernels.sparse_access import native, running
from lukasa.memory.sparse.listener import UNKNOWN
from tests.agents.rllib.replay.sampled import dqn, every_row, sampled
from tests.agents.rllib.sampling import learner_batch, make_runner, ship
from tests.agents.rllib.test_journal import FEW, MANY, make_outspoken, make_pair, sparse_ppo
from tests.agents.rllib.two_ways import assert_same

pytest.importorskip("numba")
EVERY_CORE = pytest.mark.parametrize("core", ["sam", "sdnc"])


def native_or_not(by_steps):
    return memory.step_by_step() if by_steps else nullcontext()


@pytest.fixture
def natively(monkeypatch):
    """The calls of native code, in order: so many steps of a sequence each, and 1 for each access alone."""
    calls, run, step = [], running.run_core, native.forward

    def sequence(core, inputs, state, starts):
        calls.append(inputs.shape[1])
        return run(core, inputs, state, starts)

    def access(*arguments):
        found = step(*arguments)
        calls.extend([1] * (found is not None))
        return found

    monkeypatch.setattr(running, "run_core", sequence)
    monkeypatch.setattr(native, "forward", access)
    return calls


def learned(module, batch, by_steps):
    """What a learner computes of a batch, and the gradient of all its parameters."""
    module.zero_grad()
    with native_or_not(by_steps):
        outputs = module.forward_train(batch)
        with torch.no_grad():
            values = module.compute_values(batch)
        (outputs[Columns.EMBEDDINGS].square().sum() + outputs[Columns.ACTION_DIST_INPUTS].sin().sum()).backward()
    gradients = {name: parameter.grad.clone() for name, parameter in module.net.named_parameters()}
    return {"embeddings": outputs[Columns.EMBEDDINGS].detach(), "values": values, **gradients}


def assert_close(mine, plain):
    assert mine.keys() == plain.keys()
    for name, part in plain.items():
        scale = max(float(part.abs().max()), 1e-3)
        assert float((mine[name] - part).abs().max()) <= 1e-4 * scale, name


@EVERY_CORE
@pytest.mark.parametrize("slots", [FEW, MANY])
@pytest.mark.parametrize("index", ["auto", "lsh"])
def test_learner_computes_natively_what_the_equations_compute(core, slots, index, natively):
    """Fragments that go on in the middle of an episode among them, and the bootstrap steps that nobody wrote down."""
    options = {"tables": 1, "bucket": 1} if index == "lsh" else None
    runner, learner = make_pair(sparse_ppo(core, slots, index=index, index_options=options))
    module = learner.module[DEFAULT_MODULE_ID]
    unknown = 0
    for _ in range(3):
        batch = learner_batch(learner, ship(runner.sample()))
        inside = batch[Columns.STATE_IN]["memory.choices"][:, : used_steps(batch, 4) * 6]
        unknown += int((inside == UNKNOWN).sum())
        natively.clear()
        mine = learned(module, batch, by_steps=False)
        assert natively == [used_steps(batch, 4)] * 2
        assert_close(mine, learned(module, batch, by_steps=True))
        assert len(natively) == 2
    assert unknown > 0


@EVERY_CORE
@pytest.mark.parametrize("slots", [FEW, MANY])
def test_fragments_are_the_same_whether_runners_act_natively_or_by_the_equations(core, slots, natively):
    sampled = []
    for by_steps in (False, True):
        runner = make_runner(sparse_ppo(core, slots, index="lists"))
        make_outspoken(runner)
        torch.manual_seed(1)
        natively.clear()
        with native_or_not(by_steps):
            fragments = [one for _ in range(4) for one in ship(runner.sample())]
        assert len(natively) in ((0,) if by_steps else (40, 41)), natively  # a sam's first step makes room
        sampled.append(fragments)
    for mine, plain in zip(*sampled, strict=True):
        assert np.array_equal(mine.get_actions(), plain.get_actions())
        journal, expected = MemoryJournal.of(mine), MemoryJournal.of(plain)
        assert_same(journal._own_choices(), expected._own_choices(), "choices")
        for name in ("keyframes", "changes"):
            found, others = getattr(journal, name), getattr(expected, name)
            assert list(found) == list(others)
            for time, state in others.items():
                assert list(found[time]) == list(state)
                for part, array in state.items():
                    assert_same_but_for_rounding(found[time][part], array, f"{name}[{time}].{part}")


def assert_same_but_for_rounding(found, expected, where):
    """Slots and counts are the same; words, weights and the controller's numbers up to rounding."""
    if expected.dtype.kind != "f":
        return assert_same(found, expected, where)
    assert found.shape == expected.shape, where
    if not where.endswith(".logs"):  # of links that are nothing
        assert np.allclose(found, expected, rtol=1e-4, atol=1e-4 * max(1.0, np.abs(expected).max(initial=0))), where
    return None


@EVERY_CORE
def test_records_of_a_step_are_bit_for_bit_those_of_the_equations(core):
    """From the same state, also where gates are shut, so that nothing counts as written; in float64 no words tie."""
    torch.manual_seed(0)
    options = {"slots": 9, "word_size": 4, "heads": 2, "reads": 3, "index": "lists"}
    made = memory.make_core(core, input_size=3, output_size=2, **options).double()
    state, nothing, gates = made.initial_state(3), 0, slice(2 * 2 * 4 + 2, 2 * 2 * 4 + 4)  # of writing, of both heads

    def recorded(state, step, by_steps):
        with torch.no_grad(), native_or_not(by_steps), followed(state) as recordings:
            _, after = memory.unroll(made, step, state)
        return {path: recording.record() for path, recording in recordings.items()}, after

    for time, step in enumerate(torch.randn(40, 3, 1, 3, dtype=torch.float64)):
        with torch.no_grad():
            made.interface.bias[gates] = -30.0 if 20 <= time < 24 else 1.0
        if time % 13 == 7:
            state = memory.reset_rows(state, made.initial_state(3), torch.tensor([True, False, True]))
        expected, _ = recorded(memory.fork_state(state), step, by_steps=True)
        found, state = recorded(state, step, by_steps=False)
        assert_same(found, expected, f"record of step {time}")
        nothing += int((found["memory"].accessed[0][:, 3] == -1).sum())  # the oldest slot of the first head
    assert nothing > 0


@EVERY_CORE
def test_sequences_of_replay_with_burn_in_and_padding_in_front_are_native(core, natively):
    """The padding in front ends where an episode begins inside the sequence, after steps that nobody wrote down."""
    _, learner, buffer, _, _ = sampled(dqn(core, burn_in=5), rounds=4)
    module = learner.module[DEFAULT_MODULE_ID]
    columns = columns_of(every_row(buffer, further=2)[1], module)
    batch = torch.utils._pytree.tree_map(torch.as_tensor, columns)
    found = []
    for by_steps in (False, True):
        natively.clear()
        with native_or_not(by_steps):
            values = module._forward_train(batch)[Q_VALUES]
        found.append(values.detach())
        assert bool(natively) == (not by_steps)
        assert len(natively) in (0, 4)  # what is burnt in and what is learned, of the network and its target
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-4)


def test_what_a_runner_follows_and_a_learner_replays_needs_no_call_at_each_step():
    core = memory.make_core("sam", input_size=3, output_size=2, slots=9, word_size=4, heads=2, reads=3)
    state, inputs = core.initial_state(2), torch.randn(2, 5, 3)
    state.memory.store.listener = recording = Recording(2)
    assert memory.why_slow(core, inputs, state) == "this call runs the whole sequence in native code"
    memory.unroll(core, inputs, state)
    choices = torch.from_numpy(recording.record().choices).long()
    assert choices.shape == (2, 5 * 8)
    other = core.initial_state(2)
    other.memory.store.listener = replay = Replay(choices)
    for steps in (1, 3, 2):  # the last of which nobody wrote down
        assert replay.known(8 * steps).shape[1] == 8 * min(steps, 5 - replay._next // 8)
        _, other = memory.unroll(core, inputs[:, :steps], other)
    assert replay._next == 6 * 8


def test_runner_keeps_its_listener_for_the_step_alone():
    runner = make_runner(sparse_ppo("sam", MANY, index="lists"))
    runner.sample()
    state = runner._cached_to_module[Columns.STATE_IN][LIVE_STATE].state
    assert state.memory.store.listener is None
