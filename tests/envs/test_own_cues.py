"""Several agents that each remember their own cue."""

import numpy as np
import pytest

from lukasa import envs
from lukasa.envs.own_cues import OwnCues, guess, remember


def episodes(env, player, count, seed=0):
    """Returns by agent, and for each episode all that was shown."""
    returns, shown = [], []
    for number in range(count):
        seen, _ = env.reset(seed=envs.stream_seed(seed, number))
        total, history = dict.fromkeys(env.possible_agents, 0.0), [seen]
        while env.agents:
            seen, rewards, terminated, truncated, _ = env.step(player(env, seen))
            assert set(seen) == set(terminated) == set(truncated)
            assert all(env.observation_space[agent].contains(one) for agent, one in seen.items())
            for agent, reward in rewards.items():
                total[agent] += reward
            history.append(seen)
        returns.append(list(total.values()))
        shown.append(history)
    return np.array(returns), shown


@pytest.mark.parametrize("settings", [{}, {"agents": 3, "cues": 5, "delay": 2, "absent": 0.5}])
def test_memory_earns_the_best_and_guessing_chance(settings):
    env = OwnCues(**settings)
    returns, _ = episodes(env, remember, 20)
    assert (returns == 1).all()
    assert env.best == returns.sum(1).mean()
    guessed, _ = episodes(env, guess, 800)
    assert guessed.sum(1).mean() == pytest.approx(env.chance, abs=0.12)


def test_another_agents_cue_is_shown_and_is_not_the_answer():
    env = OwnCues(agents=2, cues=4)
    _, shown = episodes(env, remember, 100)
    others = [(one[0], seen) for one in shown for seen in one[1:-2] for agent in seen if 4 < seen[agent] <= 8]
    assert len(others) > 100
    swapped, _ = episodes(env, lambda env, seen: {a: env.cues[f"agent{1 - int(a[-1])}"] for a in seen}, 400)
    assert swapped.sum(1).mean() == pytest.approx(env.chance, abs=0.15)


def test_agents_are_absent_now_and_then_but_not_from_cue_and_question():
    _, shown = episodes(OwnCues(delay=8, absent=0.4), remember, 100)
    assert all(len(one[0]) == len(one[-2]) == len(one[-1]) == 2 for one in shown)
    assert np.mean([len(seen) for one in shown for seen in one[1:-2]]) == pytest.approx(1.2, abs=0.1)
    again, _ = episodes(OwnCues(delay=8, absent=0.4), remember, 1), None
    assert str(again[1][0]) == str(shown[0])


@pytest.mark.parametrize("settings", [{"agents": 0}, {"cues": 1}, {"delay": -1}, {"absent": 1.5}])
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        OwnCues(**settings)


def test_agents_are_found_by_name():
    assert envs.possible_agents("lukasa.envs.own_cues:OwnCues", {"agents": 3}) == ("agent0", "agent1", "agent2")
    assert envs.possible_agents("TMaze-L50-v0", {}) == ()
