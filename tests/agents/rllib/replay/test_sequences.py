"""Sequences out of fragments that were cut anywhere: each with the state that the runner had before it."""

import numpy as np
import pytest
import torch
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.columns import Columns

from lukasa.agents.rllib.module import EPISODE_START, LIVE_STATE
from lukasa.agents.rllib.replay.columns import ENDED, LAST, columns_of
from lukasa.agents.rllib.replay.fragments import fragment_of
from lukasa.agents.rllib.replay.q_module import PREFIX, Q_VALUES, STARTS
from lukasa.agents.rllib.replay.sequences import from_the_start, row_of, windows
from lukasa.agents.rllib.state_log import StateLog
from tests.agents.rllib.replay.sampled import dqn, every_row, sampled

pytestmark = pytest.mark.ray


@pytest.fixture(autouse=True)
def _ray(ray_cluster):
    """RLlib's learners measure themselves through Ray."""


def spy_on_states(runner):
    """Every state that the runner feeds to its module, by episode and step."""
    fed, pipeline = {}, runner._env_to_module

    def spied(*, episodes, **kwargs):
        batch = pipeline(episodes=episodes, **kwargs)
        state = batch[Columns.STATE_IN]
        tensors = state[LIVE_STATE].tensors if LIVE_STATE in state else state
        for row, episode in enumerate(episodes):
            fed[episode.id_, episode.t] = {name: tensor[row].clone() for name, tensor in tensors.items()}
        return batch

    runner._env_to_module = spied
    return fed


@pytest.mark.parametrize("burn_in", [0, 1, 4, 11])
@pytest.mark.parametrize("length", [1, 3, 6])
def test_windows_cover_every_step_from_states_that_are_known(burn_in, length):
    for known, end in (([0, 3, 6], 7), ([0, length], length + 1), ([7], 8), ([7, 8, 9], 9 + length), ([0], 1)):
        known = [one for one in known if one < end]
        gaps = [after - before for before, after in zip(known, [*known[1:], end], strict=True)]
        if max(gaps) > length:
            continue  # runners keep a state at least every so many steps
        found = windows(known, end, length=length, burn_in=burn_in)
        covered = {step for _, first, last in found for step in range(first, last)}
        begin = known[0] + burn_in if known[0] else 0
        assert set(range(begin, end + burn_in)) <= covered
        for state, first, last in found:
            assert state in known
            assert last == first + length
            assert first - state == burn_in or (state == 0 and first <= burn_in)


def test_windows_from_the_start_cover_every_step():
    for end in range(1, 9):
        covered = {step for _, first, last in from_the_start(end, length=3) for step in range(first, last)}
        assert covered >= set(range(end))


@pytest.mark.parametrize("core", ["gru", "ntm", "sam", "sdnc"])
def test_state_of_a_replayed_fragment_is_the_runners_bit_for_bit(core):
    config = dqn(core)
    _, learner, buffer, _, fed = sampled(config, spy=spy_on_states)
    sequences, rows = every_row(buffer)
    states = columns_of(rows, learner.module[DEFAULT_MODULE_ID])[Columns.STATE_IN]
    continued = 0
    for place, (sequence, row) in enumerate(zip(sequences, rows, strict=True)):
        assert states[EPISODE_START][place] == (row.start == 0)
        if row.start == 0:
            continue
        continued += 1
        expected = fed[sequence.stretch.fragments[0].episode, row.start]
        for name, tensor in expected.items():
            if name == EPISODE_START:
                continue
            found = torch.as_tensor(states[name][place])
            found = found.view(torch.float64) if tensor.dtype == torch.float64 else found.to(tensor.dtype)
            length = min(len(found), len(tensor)) if found.dim() else None
            assert torch.equal(found[:length] if found.dim() else found, tensor[:length] if found.dim() else tensor)
    assert continued > 20


def test_kept_state_is_never_moved_on_by_padding():
    _, learner, buffer, _, _ = sampled(dqn(burn_in=2))
    _, rows = every_row(buffer)
    continued = next(row for row in rows if row.start)
    longer = next(row for row in rows if row.prefix == 0)
    longer.prefix = continued.prefix + 1
    with pytest.raises(RuntimeError, match="padded in front"):
        columns_of([continued, longer], learner.module[DEFAULT_MODULE_ID])


def valued(fragments):
    """What the runner said that each action of each step was worth, by episode and step."""
    return {
        (one.id_, one.t_started + step): one.get_extra_model_outputs(Columns.ACTION_DIST_INPUTS, step)
        for one in fragments
        for step in range(len(one))
    }


WAYS = [(0, False), (5, False), (0, True)]


@pytest.mark.parametrize(
    ("core", "burn_in", "from_start"),
    [(core, *way) for core in ("gru", "ntm", "sam") for way in WAYS]
    + [("sdnc", 5, False), ("sdnc", 0, True), ("snail", 5, False), ("feedforward", 0, False)],
)
def test_replayed_values_are_what_the_runner_saw(core, burn_in, from_start):
    memory = {"previous_action": True, "previous_reward": True}
    config = dqn(core, memory=memory, burn_in=burn_in, replay_from_start=from_start)
    _, learner, buffer, fragments, _ = sampled(config, rounds=4)
    said = valued(fragments)
    sequences, rows = every_row(buffer, further=2)
    module = learner.module[DEFAULT_MODULE_ID]
    columns = columns_of(rows, module)
    batch = torch.utils._pytree.tree_map(torch.as_tensor, columns)  # pyright: ignore
    with torch.no_grad():
        values = module._forward_train(batch)[Q_VALUES]
    prefix, seen = int(batch[PREFIX][0]), set()
    for place, sequence in enumerate(sequences):
        episode = sequence.stretch.fragments[0].episode
        for step in range(sequence.steps):
            expected = said[episode, sequence.first + step]
            np.testing.assert_allclose(values[place, step], expected, rtol=1e-4, atol=1e-4 * abs(expected).max())
            assert batch[Columns.LOSS_MASK][place, prefix + step]
            seen.add((episode, sequence.first + step))
        assert batch[Columns.LOSS_MASK][place].sum() == sequence.steps
    assert seen == set(said)  # no step is forgotten


@pytest.mark.parametrize("core", ["gru", "sam"])
def test_padding_is_in_no_loss(core):
    config = dqn(core, burn_in=4, n_step=3)
    _, learner, buffer, _, _ = sampled(config, rounds=4)
    rows = every_row(buffer, further=3)[1][::4]
    assert len({len(row.rewards) for row in rows}) > 2
    module = learner.module[DEFAULT_MODULE_ID]

    def loss_of(some):
        columns = columns_of(some, module)
        columns |= {"weights": np.ones(len(some), np.float32), "sequence_numbers": np.arange(len(some))}
        batch = torch.utils._pytree.tree_map(torch.as_tensor, columns)  # pyright: ignore
        outputs = module._forward_train(batch)
        loss = learner.compute_loss_for_module(module_id="m", config=config, batch=batch, fwd_out=outputs)
        return loss * batch[Columns.LOSS_MASK].sum()

    # a row by itself has the padding it needs and no more; all of them together have that of the longest
    alone, together = sum(loss_of([row]) for row in rows), loss_of(rows)
    assert torch.isfinite(together)
    torch.testing.assert_close(alone, together, rtol=1e-4, atol=1e-5)


def test_episodes_end_where_they_ended():
    config = dqn(burn_in=2)
    _, learner, buffer, fragments, _ = sampled(config)
    sequences, rows = every_row(buffer, further=3)
    columns = columns_of(rows, learner.module[DEFAULT_MODULE_ID])
    prefix = int(columns[PREFIX][0])
    ended = {one.id_ for one in fragments if one.is_done}
    assert ended
    for place, (sequence, row) in enumerate(zip(sequences, rows, strict=True)):
        episode = sequence.stretch.fragments[0].episode
        reached = row.start + len(row.rewards)
        assert columns[ENDED][place] == (episode in ended and reached == 25)
        assert columns[LAST][place] + prefix == len(row.rewards) + prefix - row.prefix
        assert columns[STARTS][place].sum() == (row.start == 0)


def test_fragment_whose_state_is_unknown_is_refused_in_one_sentence():
    config = dqn()
    _, _, buffer, fragments, _ = sampled(config)
    lost = next(one for one in fragments if one.t_started)
    lost.custom_data[StateLog.KEY].keyframes.clear()
    with pytest.raises(ValueError, match=r"begins at step .* without the memory state before it: sample it") as raised:
        buffer.add(lost)
    assert "\n" not in str(raised.value)
    del lost.custom_data[StateLog.KEY]
    with pytest.raises(ValueError, match="without the memory state"):
        buffer.add([lost])


def test_gap_in_an_episode_is_not_run_over():
    config = dqn()
    _, _, _, fragments, _ = sampled(config)
    buffer = config.build_replay_buffer()
    name = next(one.id_ for one in fragments if one.t_started > 7)
    parts = [one for one in fragments if one.id_ == name]
    assert len(parts) > 2
    buffer.add([parts[0], parts[2]])
    _, rows = every_row(buffer, further=3)
    first, third = fragment_of(parts[0]), fragment_of(parts[2])
    for row in rows:
        inside = [one for one in (first, third) if one.start <= row.start < one.end]
        assert row.start + len(row.rewards) <= inside[0].end


def test_oldest_fragments_are_forgotten_and_what_is_left_is_whole():
    config = dqn(replay_capacity=60, burn_in=3)
    _, learner, buffer, fragments, _ = sampled(config, rounds=12)
    assert 40 < len(buffer) <= 60 < sum(map(len, fragments))
    _, rows = every_row(buffer, further=2)
    assert columns_of(rows, learner.module[DEFAULT_MODULE_ID])
    kept = {(fragment.episode, fragment.start) for fragment, _ in buffer._fragments}
    newest = fragments[-1]
    assert (newest.id_, newest.t_started) in kept
    started = dqn(replay_capacity=60, replay_from_start=True)
    _, _, buffer, _, _ = sampled(started, rounds=12)
    assert all(row.start == 0 for row in every_row(buffer)[1])


def test_buffer_goes_on_from_its_state():
    config = dqn("sam", burn_in=3)
    _, _, buffer, _, _ = sampled(config)
    drawn, _ = buffer.draw(6, 0.4)
    buffer.update_priorities([(one.number, 0.1 + place) for place, one in enumerate(drawn)])
    other = config.build_replay_buffer()
    other.set_state(buffer.get_state())
    assert len(other) == len(buffer)
    mine, theirs = ([row_of(one, further=1) for one in each.draw(20, 0.4)[0]] for each in (buffer, other))
    for one, two in zip(mine, theirs, strict=True):
        assert (one.start, one.prefix, one.learned) == (two.start, two.prefix, two.learned)
        np.testing.assert_array_equal(one.rewards, two.rewards)


def test_replay_of_which_nothing_can_be_learned_says_so():
    config = dqn(replay_capacity=8, replay_from_start=True, copies=1)
    _, _, buffer, _, _ = sampled(config, rounds=3)
    with pytest.raises(ValueError, match="none of the 7 steps in the replay can be learned from: its capacity of 8"):
        buffer.draw(3, 0.4)
