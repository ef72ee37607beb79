"""The classical players earn what the papers say, and choose as their definitions say."""

from functools import partial

import numpy as np
import pytest

from lukasa import envs
from lukasa.envs import bandit_players, tabular_players
from lukasa.envs.bandit_players import Pulls
from lukasa.envs.players import BANDIT_PLAYERS, TABULAR_PLAYERS, main, play
from lukasa.envs.tabular_players import Steps

BANDITS = [env_id for env_id in envs.ENVIRONMENTS if env_id.startswith("Bandit-")]
TABULAR = [env_id for env_id in envs.ENVIRONMENTS if env_id.startswith("TabularMDP-")]

# Mishra et al. 2018, "SNAIL", table 3: what random arms and the Gittins index earn.
PUBLISHED = {
    "Bandit-N10-K5-v0": (5.0, 6.6),
    "Bandit-N10-K10-v0": (5.0, 6.6),
    "Bandit-N100-K5-v0": (49.9, 78.3),
    "Bandit-N100-K10-v0": (49.9, 82.8),
    "Bandit-N100-K50-v0": (49.8, 85.2),
}


def errors(played):
    """Standard error of the mean."""
    return played.returns.std() / len(played.returns) ** 0.5


@pytest.mark.parametrize("env_id", BANDITS)
def test_bandit_players_earn_the_published_returns(env_id):
    # The papers' index approximates a discounted one; that for the pulls left earns up to 1.5 % more.
    random, gittins = PUBLISHED[env_id]
    played = play("random", env_id, trials=1000)
    assert abs(played.mean - random) < 4 * errors(played)
    played = play("gittins", env_id, trials=1000)
    assert gittins - 4 * errors(played) < played.mean < 1.015 * gittins + 4 * errors(played)


@pytest.mark.parametrize("env_id", BANDITS)
def test_listed_chance_and_best_of_bandits_are_those_of_random_and_gittins(env_id):
    for player, listed in (("random", envs.ENVIRONMENTS[env_id].chance), ("gittins", envs.ENVIRONMENTS[env_id].best)):
        played = play(player, env_id, trials=1000, seed=5)
        assert abs(played.mean - listed) < 4 * errors(played)


def test_bandit_players_are_ranked_as_in_the_papers():
    mean = {player: play(player, "Bandit-N100-K10-v0", trials=500).mean for player in BANDIT_PLAYERS}
    ranked = ["random", "ucb1", "thompson_sampling", "gittins", "oracle"]
    assert sorted(ranked, key=lambda player: mean[player]) == ranked
    assert mean["greedy"] < mean["gittins"]


@pytest.mark.parametrize("env_id", TABULAR)
def test_tabular_players_earn_the_published_returns(env_id):
    # Published as shares of a level at which random actions, 10 an episode, earn .482.
    level = envs.ENVIRONMENTS[env_id].chance / 0.482
    psrl = {"TabularMDP-N10-v0": 0.665, "TabularMDP-N25-v0": 0.788}[env_id]
    played = play("random", env_id, trials=500)
    assert abs(played.mean - 0.482 * level) < 4 * errors(played)
    assert play("psrl", env_id, trials=500).mean == pytest.approx(psrl * level, rel=0.05)


@pytest.mark.parametrize(("env_id", "snail"), list(zip(TABULAR, (0.766, 0.862), strict=True)))
def test_listed_best_of_tabular_mdps_is_the_highest_published(env_id, snail):
    listed = envs.ENVIRONMENTS[env_id]
    assert listed.best == pytest.approx(snail / 0.482 * listed.chance, rel=0.001)
    assert play("greedy", env_id, trials=200).mean < listed.best < play("value_iteration", env_id, trials=200).mean


def test_value_iteration_earns_218_in_ten_episodes():
    played = play("value_iteration", TABULAR[0], trials=500)
    assert played.mean == pytest.approx(217.8, abs=4 * errors(played))


@pytest.mark.parametrize("env_id", ["Bandit-N10-K5-v0", "TabularMDP-N10-v0"])
def test_oracle_of_the_environment_earns_what_the_oracle_player_earns(env_id):
    player = "oracle" if env_id in BANDITS else "value_iteration"
    expected = play(player, env_id, trials=3, seed=7).returns
    env = envs.make(env_id)
    for trial in range(3):
        env.reset(seed=envs.stream_seed(7, trial))
        total, over = 0.0, False
        while not over:
            _, reward, over, *_ = env.step(env.unwrapped.oracle())
            total += float(reward)
        assert total == pytest.approx(expected[trial])


@pytest.mark.parametrize(
    ("env_id", "player"),
    [("Bandit-N10-K5-v0", player) for player in BANDIT_PLAYERS] + [(TABULAR[0], player) for player in TABULAR_PLAYERS],
)
def test_same_seed_gives_the_same_returns_and_another_seed_others(env_id, player):
    first = play(player, env_id, trials=20, seed=3)
    np.testing.assert_array_equal(first.returns, play(player, env_id, trials=20, seed=3).returns)
    assert not np.array_equal(first.returns, play(player, env_id, trials=20, seed=50).returns)


def test_interval_is_of_95_percent():
    played = play("random", "Bandit-N10-K5-v0", trials=400)
    half = 1.96 * played.returns.std(ddof=1) / 20
    assert played.mean == played.returns.mean()
    assert played.interval == pytest.approx((played.mean - half, played.mean + half))


def arms_pulled(player, wins, losses, trials=2000):
    """Share of trials in which each arm is pulled, all having seen the same."""
    env = envs.BanditVector(trials, pulls=50, arms=len(wins))
    seen = Pulls(np.tile(wins, (trials, 1)), np.tile(losses, (trials, 1)), sum(wins) + sum(losses))
    return np.bincount(player(env, seen, np.random.default_rng(0)), minlength=len(wins)) / trials


def test_greedy_pulls_the_largest_mean_and_breaks_ties_at_random():
    np.testing.assert_array_equal(arms_pulled(bandit_players.greedy, [1, 5, 3], [1, 4, 1]), [0, 0, 1])
    np.testing.assert_allclose(arms_pulled(bandit_players.greedy, [2, 0, 2], [1, 1, 1]), [0.5, 0, 0.5], atol=0.05)


def test_epsilon_greedy_pulls_any_arm_in_its_share():
    player = partial(bandit_players.epsilon_greedy, epsilon=0.3)
    np.testing.assert_allclose(arms_pulled(player, [1, 0, 0], [0, 1, 1]), [0.8, 0.1, 0.1], atol=0.04)


def test_thompson_sampling_pulls_as_often_as_an_arm_is_best():
    # Of a chance with density 2p and one with 2(1 - p) the first is larger with probability 5/6.
    pulled = arms_pulled(bandit_players.thompson_sampling, [1, 0], [0, 1], trials=20_000)
    np.testing.assert_allclose(pulled, [5 / 6, 1 / 6], atol=0.011)  # four standard errors


def test_ucb1_tries_every_arm_and_then_adds_the_bonus():
    timid = partial(bandit_players.ucb1, exploration=0.1)
    np.testing.assert_array_equal(arms_pulled(timid, [9, 1, 0], [0, 1, 0]), [0, 0, 1])
    # Means .6 and .5 of 10 and 4 pulls; bonus sqrt(2 ln 14 / n): .73 and 1.15.
    np.testing.assert_array_equal(arms_pulled(bandit_players.ucb1, [6, 2], [4, 2]), [0, 1])
    np.testing.assert_array_equal(arms_pulled(timid, [6, 2], [4, 2]), [1, 0])


def test_gittins_prefers_the_lesser_known_of_two_equal_means():
    np.testing.assert_array_equal(arms_pulled(bandit_players.gittins, [5, 1], [5, 1]), [0, 1])


def steps_seen(trials):
    """Two states, two actions: action 1 seen to pay 3 in state 0 (nine tries), and to lead to state 1."""
    shape = (trials, 2, 2)
    seen = Steps(np.zeros((*shape, 2)), np.zeros(shape), np.zeros(shape))
    seen.moves[:, 0, 1, 1] = seen.tries[:, 0, 1] = 9
    seen.earned[:, 0, 1] = 27
    return seen


def test_psrl_draws_worlds_from_the_posterior():
    # In the last step only rewards count: N(2.8, 1/10) against N(1, 1) and, in state 1, nothing is known.
    env, rng = envs.TabularMDPVector(4000, horizon=2, states=2, actions=2), np.random.default_rng(0)
    policy = tabular_players.psrl(env, steps_seen(4000), rng)
    assert policy.shape == (4000, 2, 2)
    assert policy[:, 1, 0].mean() == pytest.approx(0.957, abs=0.015)  # Φ(1.8 / sqrt(1.1))
    assert policy[:, 1, 1].mean() == pytest.approx(0.5, abs=0.035)


def test_tabular_greedy_takes_what_it_saw_pay():
    env, rng = envs.TabularMDPVector(10, horizon=2, states=2, actions=2), np.random.default_rng(0)
    assert np.all(tabular_players.greedy(env, steps_seen(10), rng)[:, :, 0] == 1)


def test_tabular_players_see_every_step_and_no_move_across_episodes():
    env, kept = envs.TabularMDPVector(3, episodes=4, horizon=5), []

    def player(env, seen, generator):
        kept.append(seen)
        return tabular_players.random_action(env, seen, generator)

    returns = tabular_players.play_tabular(env, player, seed=0)
    seen = kept[-1]
    np.testing.assert_array_equal(seen.tries.sum((1, 2)), 20)
    np.testing.assert_array_equal(seen.moves.sum((1, 2, 3)), 16)
    np.testing.assert_allclose(seen.earned.sum((1, 2)), returns)
    assert np.all(seen.moves[env.world.transitions < 1e-4] == 0)


def test_player_that_does_not_exist_names_the_nearest_one():
    with pytest.raises(ValueError, match="'Bandit-N10-K5-v0' has no player 'gittin': did you mean 'gittins'"):
        play("gittin", "Bandit-N10-K5-v0")
    with pytest.raises(ValueError, match="has no player 'zzz': known are random, psrl"):
        play("zzz", "TabularMDP-N10-v0")
    with pytest.raises(ValueError, match="'TMaze-L50-v0' has no classical players: choose a Bandit or a TabularMDP"):
        play("random", "TMaze-L50-v0")
    with pytest.raises(ValueError, match="trials is 1, expected a whole number of at least 2"):
        play("random", "Bandit-N10-K5-v0", trials=1)


def test_settings_and_players_of_ones_own_are_taken():
    first_arm = play(lambda env, *_: np.zeros(env.num_envs, dtype=int), "Bandit-N10-K5-v0", trials=500, pulls=20)
    assert abs(first_arm.mean - 10) < 4 * errors(first_arm)


def test_program_prints_a_row_for_every_environment(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["players", "--trials", "2"])
    main()
    printed = capsys.readouterr().out
    assert all(f"| `{env_id}` |" in printed for env_id in (*BANDITS, *TABULAR))
