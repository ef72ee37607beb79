"""Returns of episodes that come in fragments, beside sums written out."""

import numpy as np
import pytest
import torch

from lukasa.agents.rllib.episodic.replay import RETURNS, Replay
from lukasa.agents.rllib.episodic.returns import Last, OpenEpisodes, Steps, best_of

GAMMA = 0.9


def by_hand(rewards, values, terminated, n_steps):
    """Each return as a sum; values [L + 1] of the observations, the last one after the last step."""
    length, returns = len(rewards), []
    for t in range(length):
        total = 0.0
        end = length if n_steps is None else min(t + n_steps, length)
        for j in range(t, end):
            total += GAMMA ** (j - t) * rewards[j]
        if n_steps is not None and not (end == length and terminated):
            total += GAMMA ** (end - t) * values[end]
        returns.append(total)
    return returns


@pytest.mark.parametrize("n_steps", [1, 3, 100, None])
@pytest.mark.parametrize("terminated", [True, False])
@pytest.mark.parametrize("cuts", [[13], [1, 1, 5, 6], [4, 9], [12, 1]])
def test_fragments_give_the_returns_of_the_whole_episode(n_steps, terminated, cuts):
    generator = np.random.default_rng(0)
    rewards, values = generator.normal(size=13), generator.normal(size=14)
    keys = torch.arange(14.0).unsqueeze(1)
    episodes = OpenEpisodes(n_steps, GAMMA)
    found, begin = [], 0
    for number, cut in enumerate(cuts):
        mine = slice(begin, begin + cut)
        last = number == len(cuts) - 1
        places = torch.arange(begin, begin + cut)
        known = episodes.add(
            "one",
            Steps(keys[mine], torch.zeros(cut, dtype=torch.int64), rewards[mine], places),
            Last(keys[begin + cut]),
            terminated=last and terminated,
            truncated=last and not terminated,
            values=lambda asked, _: values[asked[:, 0].long().numpy()],
        )
        assert torch.equal(known.keys[:, 0].long(), known.places)
        found.append(known)
        begin += cut
        if n_steps == 3 and not last:  # nothing waits for longer than it must
            assert sum(len(one.places) for one in found) == max(0, begin - 2)
    assert torch.cat([one.places for one in found]).tolist() == list(range(13))
    expected = by_hand(rewards, values, terminated, n_steps)
    np.testing.assert_allclose(torch.cat([one.returns for one in found]).numpy(), expected, rtol=1e-12)


def test_episodes_do_not_mix():
    episodes = OpenEpisodes(None, 1.0)
    for name, reward in (("a", 1.0), ("b", 10.0), ("a", 1.0), ("b", 10.0)):
        step = Steps(torch.zeros(1, 1), torch.zeros(1, dtype=torch.int64), np.array([reward]), torch.zeros(1).long())
        over = {"terminated": False, "truncated": False}
        assert not len(episodes.add(name, step, Last(torch.zeros(1)), **over, values=None).returns)
    known = episodes.add("b", step, Last(torch.zeros(1)), terminated=True, truncated=False, values=None)
    assert known.returns.tolist() == [30.0, 20.0, 10.0]


@pytest.mark.parametrize("cuts", [[5], [1, 4], [2, 2, 1]])
def test_what_is_expected_beyond_is_of_the_actions_that_are_allowed_there(cuts):
    keys, estimates = torch.arange(6.0).unsqueeze(1), torch.rand(6, 3, generator=torch.Generator().manual_seed(0))
    allowed = torch.tensor([[1, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0, 1, 1]], dtype=torch.bool)
    episodes, found, begin = OpenEpisodes(1, GAMMA), [], 0
    for cut in cuts:
        mine, end = slice(begin, begin + cut), begin + cut
        nothing = torch.zeros(cut, dtype=torch.int64)
        known = episodes.add(
            "one",
            Steps(keys[mine], nothing, np.zeros(cut), nothing, allowed[mine]),
            Last(keys[end], allowed[end]),
            terminated=False,
            truncated=end == 5,
            values=lambda asked, may: best_of(estimates[asked[:, 0].long()], may).numpy(),
        )
        found += known.returns.tolist()
        begin = end
    best = [max(v for v, may in zip(*row, strict=True) if may) for row in zip(estimates.tolist(), allowed, strict=True)]
    assert found == pytest.approx([GAMMA * value for value in best[1:]])


def columns(first, rows):
    return {
        "obs": torch.arange(first, first + rows).float().view(rows, 1, 1).expand(rows, 2, 1),
        "seq_lens": torch.full((rows,), 2),
        "state_in": {"memory.order": torch.arange(rows * (first + 1)).view(rows, -1)},
    }


def test_returns_find_their_steps_as_long_as_these_are_kept():
    replay = Replay(rows=4, steps=2)
    generator = torch.Generator().manual_seed(0)
    assert replay.draw(3, generator) is None
    early, late = replay.add(columns(0, 3)), replay.add(columns(3, 3))
    assert early.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert late.tolist() == [[6, 7], [8, 9], [10, 11]]
    replay.set_returns(torch.tensor([0, 3, 5, 10]), torch.tensor([0.5, 1.5, 2.5, 5.0]))
    drawn = replay.draw(20, generator)
    rows = drawn["obs"][:, 0, 0]
    assert set(rows.tolist()) == {2.0, 5.0}  # rows 0 and 1 are gone, 3 and 4 have no return yet
    assert torch.equal(drawn["loss_mask"][:, 1], rows == 2)
    assert torch.equal(drawn[RETURNS].sum(1), torch.where(rows == 2, 2.5, 5.0))
    orders = drawn["state_in"]["memory.order"]
    assert orders.shape == (20, 4)
    assert orders[rows == 2][:, 1:].eq(-1).all()
