"""The Gittins index beside closed forms and beside the best there is, found by trying everything."""

from functools import cache

import numpy as np
import pytest

from lukasa.envs.gittins import gittins_indexes


def test_last_pull_counts_the_mean_alone():
    indexes = gittins_indexes(4)[1]
    for wins in range(4):
        for losses in range(4 - wins):
            assert indexes[wins, losses] == pytest.approx((wins + 1) / (wins + losses + 2), abs=1e-3)


def test_two_pulls_left_agree_with_the_closed_form():
    # A known arm of chance λ is as good when 1/2 - λ + 1/2 (2/3 - λ) = 0: after a failure one leaves.
    assert gittins_indexes(2)[2][0, 0] == pytest.approx(5 / 9, abs=1e-3)


def test_index_grows_with_the_pulls_left_and_with_wins_and_falls_with_losses():
    indexes = gittins_indexes(30)
    assert np.all(np.diff([indexes[left][0, 0] for left in range(1, 31)]) > 0)
    assert np.all(np.diff(indexes[20][:, 0]) > 0)
    assert np.all(np.diff(indexes[20][0]) < 0)


def test_entries_that_cannot_come_up_are_zero():
    assert np.all(gittins_indexes(6)[3][np.add.outer(np.arange(4), np.arange(4)) >= 4] == 0)


def expected_return(choose, arms, pulls):
    """Expected return of a player over all courses of a trial; ``choose`` gives the arms worth trying."""

    @cache
    def value(seen, left):
        if left == 0:
            return 0.0
        values = []
        for arm in choose(seen, left):
            wins, losses = seen[arm]
            chance = (wins + 1) / (wins + losses + 2)
            won = (*seen[:arm], (wins + 1, losses), *seen[arm + 1 :])
            lost = (*seen[:arm], (wins, losses + 1), *seen[arm + 1 :])
            values.append(chance * (1 + value(won, left - 1)) + (1 - chance) * value(lost, left - 1))
        return max(values)

    return value(((0, 0),) * arms, pulls)


@pytest.mark.parametrize(("arms", "pulls"), [(2, 10), (3, 7)])
def test_following_the_index_earns_nearly_what_the_best_player_earns(arms, pulls):
    def by_index(seen, left):
        return [int(np.argmax([gittins_indexes(pulls)[left][arm] for arm in seen]))]

    def greedy(seen, _):
        return [int(np.argmax([(wins + 1) / (wins + losses + 2) for wins, losses in seen]))]

    best = expected_return(lambda *_: range(arms), arms, pulls)
    assert best * 0.999 < expected_return(by_index, arms, pulls) <= best + 1e-9
    assert expected_return(greedy, arms, pulls) < best * 0.999
