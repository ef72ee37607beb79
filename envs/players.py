"""What the classical players earn, by name: the levels that an agent that learned to learn is held against.

``python -m lukasa.envs.players`` prints a table of all of them.
"""

from __future__ import annotations

import argparse
from typing import Any, NamedTuple

import numpy as np

from lukasa.envs import bandit_players, tabular_players
from lukasa.envs.bandits import BanditVector
from lukasa.envs.making import make_vec
from lukasa.envs.tabular import TabularMDPVector
from lukasa.ground.names import UnknownNameError, nearest
from lukasa.ground.settings import check_whole
from lukasa.ground.statistics import mean_interval

BANDIT_PLAYERS: dict[str, bandit_players.BanditPlayer] = {
    "random": bandit_players.random_arm,
    "ucb1": bandit_players.ucb1,
    "thompson_sampling": bandit_players.thompson_sampling,
    "epsilon_greedy": bandit_players.epsilon_greedy,
    "greedy": bandit_players.greedy,
    "gittins": bandit_players.gittins,
    "oracle": bandit_players.best_arm,
}
"""Players of ``Bandit``; the oracle knows the arms."""

TABULAR_PLAYERS: dict[str, tabular_players.TabularPlayer] = {
    "random": tabular_players.random_action,
    "psrl": tabular_players.psrl,
    "epsilon_greedy": tabular_players.epsilon_greedy,
    "greedy": tabular_players.greedy,
    "value_iteration": tabular_players.value_iteration,
}
"""Players of ``TabularMDP``; value iteration knows the world."""


class Played(NamedTuple):
    """What a player earned."""

    mean: float
    """Mean return of a trial."""
    interval: tuple[float, float]
    """Its 95 % confidence interval, mean ± 1.96 standard errors."""
    returns: np.ndarray
    """[trials], the return of each."""


def play(
    player: str | bandit_players.BanditPlayer | tabular_players.TabularPlayer,
    env_id: str,
    trials: int = 1000,
    seed: int = 0,
    **settings: Any,
) -> Played:
    """Let a classical player play whole trials of a bandit or of a tabular MDP, all at once.

    Args:
        player: a name of ``BANDIT_PLAYERS`` or ``TABULAR_PLAYERS``, or a function like those.
        env_id: for example "Bandit-N100-K10-v0".
        trials: number of trials; at least 2.
        seed: trial i is the first of ``make(env_id)`` with the seed ``stream_seed(seed, i)``; players of one
            seed meet the same trials.
        **settings: the environment's own settings, as in ``make``.

    Raises:
        ValueError: there is no such player or setting, or the environment is neither of the two.

    Example:
        >>> played = play("oracle", "Bandit-N10-K5-v0", trials=2000)
        >>> low, high = played.interval
        >>> low < 10 * 5 / 6 < high  # the best of five uniform chances is 5/6 on average
        True
    """
    check_whole("play", "trials", trials, 2)
    env = make_vec(env_id, trials, **settings)
    if isinstance(env, BanditVector):
        returns = bandit_players.play_bandit(env, _by_name(player, BANDIT_PLAYERS, env_id), seed)
    elif isinstance(env, TabularMDPVector):
        returns = tabular_players.play_tabular(env, _by_name(player, TABULAR_PLAYERS, env_id), seed)
    else:
        raise ValueError(f"environment {env_id!r} has no classical players: choose a Bandit or a TabularMDP")
    return Played(float(returns.mean()), mean_interval(returns), returns)


def _by_name(player: Any, players: dict[str, Any], env_id: str) -> Any:
    if callable(player):
        return player
    if player not in players:
        raise UnknownNameError(f"environment {env_id!r} has no player {player!r}: {nearest(player, players)}")
    return players[player]


def main() -> None:
    """Print the returns of every player on every listed bandit and tabular MDP, as rows of Markdown."""
    from lukasa.envs.catalogue import ENVIRONMENTS

    parser = argparse.ArgumentParser(prog="python -m lukasa.envs.players", description=main.__doc__)
    parser.add_argument("--trials", type=int, default=1000, help="trials of each player")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for prefix, players in (("Bandit-", BANDIT_PLAYERS), ("TabularMDP-", TABULAR_PLAYERS)):
        print(f"| environment | {' | '.join(players)} |\n|---|{'---|' * len(players)}")
        for env_id in filter(lambda name: name.startswith(prefix), ENVIRONMENTS):
            cells = []
            for player in players:
                played = play(player, env_id, options.trials, options.seed)
                cells.append(f"{played.mean:.2f} ± {played.interval[1] - played.mean:.2f}")
            print(f"| `{env_id}` | {' | '.join(cells)} |", flush=True)
        print()


if __name__ == "__main__":
    main()
