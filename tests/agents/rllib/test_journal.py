"""Sparse memories travel as journals: what the learner rebuilds is what the runner had, at a cost without N."""

import pickle

import numpy as np
import pytest
import torch
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.columns import Columns

from lukasa import memory
from lukasa.agents.rllib.journal import MemoryJournal, last_accesses
from lukasa.agents.rllib.module import EPISODE_START, LIVE_STATE
from lukasa.agents.rllib.slot_choices import UNKNOWN
from lukasa.memory import sam
from lukasa.memory.sparse import SparseMemory
from tests.agents.rllib.sampling import learner_batch, make_learner, make_runner, ppo, ship

SMALL = {"word_size": 4, "heads": 2, "reads": 2, "controller_size": 16}
FEW, MANY = 7, 1 << 20
"""Slots: so few that those of an episode of 25 steps are used again and again, and so many that none is."""


def sparse_ppo(core="sam", slots=MANY, *, max_seq_len=4, index="exact", index_options=None, **options):
    config = ppo(max_seq_len=max_seq_len, **options)
    return config.memory(
        core=core, slots=slots, **SMALL, max_seq_len=max_seq_len, index=index, index_options=index_options
    )


def make_outspoken(runner):
    """Weights as large as training makes them, so that a wrong memory changes what the agent does."""
    with torch.no_grad():
        for name, parameter in runner.module.named_parameters():
            parameter *= 100 if "policy_head" in name else 2


def make_pair(config):
    runner = make_runner(config)
    make_outspoken(runner)
    return runner, make_learner(config, runner)


def spy_on_states(runner):
    """Every state that the runner feeds to its module, by episode and step."""
    fed = {}
    pipeline = runner._env_to_module

    def spied(*, episodes, **kwargs):
        batch = pipeline(episodes=episodes, **kwargs)
        live = batch[Columns.STATE_IN][LIVE_STATE]
        for row, episode in enumerate(episodes):
            fed[episode.id_, episode.t] = {name: tensor[row].clone() for name, tensor in live.tensors.items()}
        return batch

    runner._env_to_module = spied
    return fed


def chunk_starts(episodes, chunk):
    return [
        (episode.id_, start)
        for episode in episodes
        for start in range(episode.t_started, episode.t_started + len(episode) + 1, chunk)
    ]


def same_but_for_padding(rebuilt, expected, padding):
    if expected.dtype == torch.float64:
        rebuilt = rebuilt.view(torch.float64)
    if expected.dim() == 0:
        return bool(rebuilt == expected)
    length = min(len(rebuilt), len(expected))
    rest = torch.cat([rebuilt[length:].flatten(), expected[length:].flatten()])
    return torch.equal(rebuilt[:length].to(expected.dtype), expected[:length]) and bool((rest == padding).all())


@pytest.mark.parametrize("slots", [FEW, MANY])
@pytest.mark.parametrize("core", ["sam", "sdnc"])
def test_rebuilt_states_equal_the_runners_bit_for_bit(core, slots):
    config = sparse_ppo(core, slots)
    runner, learner = make_pair(config)
    fed = spy_on_states(runner)
    compared = continued = full = 0
    for _ in range(5):
        fragments = ship(runner.sample())
        rows = chunk_starts(fragments, chunk=4)
        states = learner_batch(learner, fragments)[Columns.STATE_IN]
        assert len(states[EPISODE_START]) == len(rows)
        for row, (episode, start) in enumerate(rows):
            assert states[EPISODE_START][row] == (start == 0)
            if start == 0:
                assert states["memory.used"][row] == 0
                continue
            for name, expected in fed[episode, start].items():
                padding = -1 if name == "memory.order" else 0
                assert same_but_for_padding(states[name][row], expected, padding), (name, start)
            compared += 1
            full += int(states["memory.used"][row] == slots)
        continued += sum(fragment.t_started > 0 for fragment in fragments)
    assert compared > 30
    assert continued > 6
    assert full > 20 if slots == FEW else full == 0


@pytest.mark.parametrize("core", ["sam", "sdnc"])
def test_runner_takes_the_path_that_the_core_takes_elsewhere(core, monkeypatch):
    runner = make_runner(sparse_ppo(core, FEW, fragment=24))
    make_outspoken(runner)
    given, accesses, own_access = [], [], sam.access
    runner.module.core.register_forward_hook(lambda _, arguments, results: given.append((arguments[0], results[0])))
    monkeypatch.setattr(sam, "access", lambda *arguments: accesses.append(1) or own_access(*arguments))
    runner.sample()  # no episode is over before the 25th step
    on_runner = runner._cached_to_module[Columns.STATE_IN][LIVE_STATE].state
    assert type(on_runner.memory) is SparseMemory
    assert len(given) >= 24
    assert len(accesses) == (len(given) if core == "sam" else 0)  # an sdnc has its own access, and no kernel for it

    alone = runner.module.core.initial_state(len(given[0][0]))
    with torch.no_grad():
        for inputs, expected in list(given):
            output, alone = runner.module.core(inputs, alone)
            assert torch.equal(output, expected)
    for name, tensor in memory.state_to_dict(alone).items():
        assert torch.equal(memory.state_to_dict(on_runner)[name], tensor), name
    assert on_runner.memory.store.listener is None


@pytest.mark.parametrize("slots", [FEW, MANY])
@pytest.mark.parametrize("core", ["sam", "sdnc"])
def test_learner_reads_what_the_runner_read_though_its_index_overlooked_the_nearest(core, slots):
    config = sparse_ppo(core, slots, index="lsh", index_options={"tables": 1, "bucket": 1})
    runner, learner = make_pair(config)
    module = learner.module[DEFAULT_MODULE_ID]
    searched_anew = 0.0
    for _ in range(4):
        batch = learner_batch(learner, ship(runner.sample()))
        mask = batch[Columns.LOSS_MASK]
        decided = batch[Columns.ACTION_DIST_INPUTS][mask]
        assert torch.allclose(module.forward_train(batch)[Columns.ACTION_DIST_INPUTS][mask], decided, atol=1e-4)
        own = dict(batch[Columns.STATE_IN])
        own["memory.choices"] = torch.full_like(own["memory.choices"], UNKNOWN)
        otherwise = module.forward_train({**batch, Columns.STATE_IN: own})[Columns.ACTION_DIST_INPUTS][mask]
        searched_anew = max(searched_anew, float((otherwise - decided).detach().abs().max()))
    assert searched_anew > 0.01  # with its own searches the learner would have judged another agent


@pytest.mark.parametrize("core", ["sam", "sdnc"])
def test_learner_without_room_for_all_slots_computes_what_one_with_room_does(core):
    runner, learner = make_pair(sparse_ppo(core, slots=512))
    module = learner.module[DEFAULT_MODULE_ID]
    runner.sample()
    batch = learner_batch(learner, ship(runner.sample()))
    little = module.forward_train(batch)[Columns.EMBEDDINGS]
    starts = batch[Columns.STATE_IN][EPISODE_START]
    with_room = memory.state_to_dict(module.net.state(batch[Columns.STATE_IN])) | {EPISODE_START: starts}
    assert module.net.state(with_room).memory.slots == 512 > module.net.state(batch[Columns.STATE_IN]).memory.slots
    all_slots = module.forward_train({**batch, Columns.STATE_IN: with_room})[Columns.EMBEDDINGS]
    assert torch.allclose(little, all_slots, atol=1e-6)  # the bootstrap step, which nobody wrote down, among them


def test_chunks_of_a_batch_take_room_for_what_is_written_and_not_for_all_slots():
    config = sparse_ppo(slots=MANY, max_seq_len=2, copies=16)
    runner, learner = make_pair(config)
    for _ in range(2):
        batch = learner_batch(learner, ship(runner.sample()))
    states = batch[Columns.STATE_IN]
    assert len(states[EPISODE_START]) > 64
    held = learner.module[DEFAULT_MODULE_ID].net.state(states).memory
    assert held.slots == states["memory.rows"].shape[1] + states["memory.choices"].shape[1] < 100


@pytest.mark.parametrize("core", ["sam", "sdnc"])
def test_bytes_per_step_do_not_grow_with_the_slots(core):
    def shipped(slots):
        runner = make_runner(sparse_ppo(core, slots, fragment=48, max_seq_len=13))
        runner.sample()
        fragments = runner.sample()
        return len(pickle.dumps(fragments)) / sum(map(len, fragments))

    few, many = shipped(1 << 8), shipped(MANY)
    assert abs(many / few - 1) < 0.01
    assert many < (400 if core == "sam" else 3000)


def test_runner_keeps_one_memory_and_changes_it_in_place():
    runner = make_runner(sparse_ppo())
    runner.sample()
    stores = {id(runner._cached_to_module[Columns.STATE_IN][LIVE_STATE].state.memory.store)}
    fragments = runner.sample()
    stores.add(id(runner._cached_to_module[Columns.STATE_IN][LIVE_STATE].state.memory.store))
    assert len(stores) == 1
    assert all(MemoryJournal.of(fragment)._live is None for fragment in fragments if not fragment.is_done)


def test_rows_of_new_episodes_begin_empty_while_the_others_go_on():
    module = make_runner(sparse_ppo()).module
    state = {**module.initial_live_state(3), EPISODE_START: torch.ones(3, dtype=torch.bool)}
    for starts in ([False, False, False], [False, True, False], [False, False, False]):
        outputs = module.forward_exploration({Columns.OBS: torch.tensor([[0], [1], [2]]), Columns.STATE_IN: state})
        state = {**outputs[Columns.STATE_OUT], EPISODE_START: torch.tensor(starts)}
    assert state[LIVE_STATE].state.memory.used.tolist() == [6, 2, 6]


def test_whole_episodes_ship_no_state():
    config = sparse_ppo(max_seq_len=26).env_runners(batch_mode="complete_episodes")
    runner, learner = make_pair(config)
    fragments = ship(runner.sample())
    assert all(not MemoryJournal.of(f).keyframes and not MemoryJournal.of(f).changes for f in fragments)
    batch = learner_batch(learner, fragments)
    assert batch[Columns.STATE_IN][EPISODE_START].all()
    assert batch[Columns.STATE_IN]["memory.rows"].shape[1] == 0
    recomputed = learner.module[DEFAULT_MODULE_ID].forward_train(batch)[Columns.ACTION_DIST_INPUTS]
    mask = batch[Columns.LOSS_MASK]
    assert torch.allclose(recomputed[mask], batch[Columns.ACTION_DIST_INPUTS][mask], atol=1e-4)


def test_fragment_without_its_journal_raises():
    runner, learner = make_pair(sparse_ppo())
    runner.sample()
    continuing = [fragment for fragment in runner.sample() if fragment.t_started > 0]
    with pytest.raises(RuntimeError, match="without the memory state of its step 13"):
        learner_batch(learner, [continuing[0][3:]])


def test_target_network_replays_too():
    config = sparse_ppo()
    runner, learner = make_pair(config)
    module = learner.module[DEFAULT_MODULE_ID]
    module.make_target_networks()
    runner.sample()
    batch = learner_batch(learner, ship(runner.sample()))
    target = module.forward_target(batch)
    assert torch.equal(next(iter(target.values())), module.forward_train(batch)[Columns.ACTION_DIST_INPUTS])


def test_order_of_last_accesses():
    events = [np.array([4, 2, -1, 2]), np.array([9, 7]), np.array([-1, 4])]
    assert last_accesses(events).tolist() == [2, 7, 9, 4]
    assert last_accesses([]).tolist() == []
