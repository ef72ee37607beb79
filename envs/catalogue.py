"""The environments this project knows by name: what each tests, how it is scored, and where it comes from."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

import gymnasium as gym

from lukasa.ground.registry import Registry

ScoreUnit = Literal["return", "success rate"]


@dataclass(frozen=True)
class Environment:
    """One environment by name.

    Attributes:
        id: the name Gymnasium knows.
        description: what is to be remembered, in one line.
        best: mean score of a policy that remembers everything.
        chance: mean score of a policy that remembers nothing and guesses.
        score_unit: what the score is: an episode's return, or the share of episodes that succeed.
        extra: the extra of this project that installs it; empty for our own.
        settings: the environment's settings under this name.
        entry_point: where our own environments are built; empty for those of others.
        vector_entry_point: the program that steps many copies; empty for those of others.
    """

    id: str
    description: str
    best: float
    chance: float
    score_unit: ScoreUnit
    extra: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    entry_point: str = ""
    vector_entry_point: str = ""


def _repeat_previous(k: int) -> Environment:
    ago = "1 step ago" if k == 1 else f"{k} steps ago"
    return Environment(
        id=f"RepeatPrevious-k{k}-v0",
        description=f"name the symbol shown {ago}, one of four",
        best=1.0,
        chance=-0.5,
        score_unit="return",
        settings={"k": k, "symbols": 4, "length": 48 + k},
        entry_point="lukasa.envs.repeat_previous:RepeatPrevious",
        vector_entry_point="lukasa.envs.repeat_previous:RepeatPreviousVector",
    )


def _tmaze(corridor: int) -> Environment:
    return Environment(
        id=f"TMaze-L{corridor}-v0",
        description=f"turn to the side shown at the start, at the end of a corridor of {corridor} cells",
        best=1.0,
        chance=0.5,
        score_unit="success rate",
        settings={"corridor": corridor},
        entry_point="lukasa.envs.tmaze:TMaze",
        vector_entry_point="lukasa.envs.tmaze:TMazeVector",
    )


def _bandit(pulls: int, arms: int, best: float) -> Environment:
    return Environment(
        id=f"Bandit-N{pulls}-K{arms}-v0",
        description=f"find the best of {arms} arms within {pulls} pulls",
        best=best,
        chance=pulls / 2,
        score_unit="return",
        settings={"pulls": pulls, "arms": arms},
        entry_point="lukasa.envs.bandits:Bandit",
        vector_entry_point="lukasa.envs.bandits:BanditVector",
    )


def _tabular(episodes: int, best: float) -> Environment:
    return Environment(
        id=f"TabularMDP-N{episodes}-v0",
        description=f"explore a random world of 10 states and earn from it, in {episodes} episodes of 10 steps",
        best=best,
        chance=10.0 * episodes,
        score_unit="return",
        settings={"episodes": episodes},
        entry_point="lukasa.envs.tabular:TabularMDP",
        vector_entry_point="lukasa.envs.tabular:TabularMDPVector",
    )


def _grid_world(id: str, description: str, module: str, **settings: Any) -> Environment:
    return Environment(
        id=id,
        description=description,
        best=1.0,
        chance=0.5,
        score_unit="success rate",
        settings=settings,
        entry_point=f"lukasa.envs.{module}",
        vector_entry_point=f"lukasa.envs.{module}Vector",
    )


_GRID_WORLDS = (
    _grid_world(
        "IMaze-v0",
        "look at the colour at one end of a corridor, and enter the goal it means at the other",
        "i_maze:IMaze",
    ),
    _grid_world(
        "PatternMatching-v0",
        "say by the goal you enter whether two rooms have the same pattern on their floors",
        "pattern_matching:PatternMatching",
    ),
    _grid_world(
        "GoalSearch-S7-11-v0",
        "find the goal that the colour at the start means, in an unknown maze of 7 to 11 cells a side",
        "goal_search:GoalSearch",
        sizes=(7, 9, 11),
    ),
    _grid_world(
        "GoalSearch-S13-15-v0",
        "find the goal that the colour at the start means, in an unknown maze of 13 or 15 cells a side",
        "goal_search:GoalSearch",
        sizes=(13, 15),
    ),
)


def _bit_flipping(bits: int, chance: float) -> Environment:
    return Environment(
        id=f"BitFlipping-N{bits}-v0",
        description=f"flip {bits} bits, one a step, until they are those of a goal; nothing is earned on the way",
        best=1.0,
        chance=chance,
        score_unit="success rate",
        settings={"bits": bits},
        entry_point="lukasa.envs.bit_flipping:BitFlipping",
        vector_entry_point="lukasa.envs.bit_flipping:BitFlippingVector",
    )


_REACH = Environment(
    id="Reach-v0",
    description="move a point onto a goal; nothing is earned on the way",
    best=1.0,
    chance=0.083,
    score_unit="success rate",
    entry_point="lukasa.envs.reach:Reach",
    vector_entry_point="lukasa.envs.reach:ReachVector",
)


def _key_door(size: int, chance: float) -> Environment:
    return Environment(
        id=f"KeyDoor-S{size}-v0",
        description=f"fetch a key, pass a door, find the goal, in two rooms of {size} cells a side; only the goal pays",
        best=1.0,
        chance=chance,
        score_unit="success rate",
        settings={"size": size},
        entry_point="lukasa.envs.key_door:KeyDoor",
        vector_entry_point="lukasa.envs.key_door:KeyDoorVector",
    )


def _tapes(id: str, description: str, **settings: Any) -> Environment:
    return Environment(
        id=id,
        description=description,
        best=1.0,
        chance=0.0,
        score_unit="success rate",
        settings=settings,
        entry_point="lukasa.envs.tapes:Tapes",
        vector_entry_point="lukasa.envs.tapes:TapesVector",
    )


_TAPES = (
    _tapes("TapeCopy-L10-v0", "copy a tape of up to 10 symbols", task="copy"),
    _tapes(
        "TapeDuplicatedInput-L10-v0",
        "copy each of up to 10 symbols once, which a tape holds twice in a row",
        task="duplicated_input",
    ),
    _tapes("TapeReverse-L10-v0", "write up to 10 symbols of a tape from the last to the first", task="reverse"),
    _tapes(
        "TapeRepeatCopy-L5-v0",
        "copy up to 5 symbols of a tape twice or three times, as its first symbol says",
        task="repeat_copy",
        length=5,
    ),
    _tapes(
        "TapeForwardReverse-L10-v0",
        "reverse up to 10 symbols that can be read once, by way of a memory tape",
        task="reverse",
        memory=True,
        forward=True,
    ),
    *(
        _tapes(
            f"TapeAddition-R{rows}-L5-v0",
            f"add {rows} numbers of up to 5 digits, lowest first, which are below one another on a tape",
            task="addition",
            length=5,
            symbols=3,
            rows=rows,
        )
        for rows in (2, 3)
    ),
)


_FOREIGN = (
    Environment(
        id="popgym-RepeatPreviousEasy-v0",
        description="name the suit dealt 3 cards ago, from one deck",
        best=1.0,
        chance=-0.5,
        score_unit="return",
        extra="envs",
    ),
    Environment(
        id="popgym-RepeatPreviousMedium-v0",
        description="name the suit dealt 31 cards ago, from two decks",
        best=1.0,
        chance=-0.5,
        score_unit="return",
        extra="envs",
    ),
    Environment(
        id="MiniGrid-MemoryS7-v0",
        description="walk to the object that matches the one in the first room",
        best=1.0,
        chance=0.5,
        score_unit="success rate",
        extra="envs",
    ),
)


def _own(path: str, found: Any) -> Environment:
    if not isinstance(found, Environment):
        raise ValueError("expected a lukasa.envs.Environment; envs.make takes a class that has none")
    return replace(found, id=path)


ENVIRONMENTS: Registry[Environment] = Registry(
    "environment",
    {
        environment.id: environment
        for environment in (
            *(_repeat_previous(k) for k in (1, 4, 8, 32)),
            *(_tmaze(corridor) for corridor in (10, 50, 100, 500)),
            # What the Gittins index earns (envs/players.py; 20,000 trials, 8,000 with 50 arms).
            _bandit(10, 5, best=6.65),
            _bandit(10, 10, best=6.73),
            _bandit(100, 5, best=78.6),
            _bandit(100, 10, best=83.8),
            _bandit(100, 50, best=85.5),
            # The highest published, by SNAIL (Mishra et al. 2018, table 4): its share over that of random actions.
            _tabular(10, best=159.0),
            _tabular(25, best=447.0),
            *_GRID_WORLDS,
            # Of flips at random, by the distance from the goal.
            _bit_flipping(10, chance=0.0087),
            _bit_flipping(20, chance=1.8e-5),
            _bit_flipping(30, chance=2.7e-8),
            _REACH,
            # Of moves at random: 20,000 episodes.
            _key_door(4, chance=0.08),
            _key_door(8, chance=0.004),
            *_TAPES,
            *_FOREIGN,
        )
    },
    _own,
)
"""Every listed environment by id; any other id that Gymnasium knows can be made too, and is scored by its return."""


def register_environments() -> None:
    """Make our own environments known to Gymnasium; a second call changes nothing."""
    for environment in ENVIRONMENTS.values():
        if environment.entry_point and environment.id not in gym.registry:
            gym.register(
                environment.id,
                entry_point=environment.entry_point,
                vector_entry_point=environment.vector_entry_point,
                kwargs=dict(environment.settings),
            )


def score_unit(env_id: str) -> ScoreUnit:
    """The unit of ``episode_score``: the listed one, or "return" for an environment that is not listed."""
    return ENVIRONMENTS[env_id].score_unit if env_id in ENVIRONMENTS else "return"


def episode_score(env_id: str, episode_return: float, final_info: dict[str, Any]) -> float:
    """The score of one whole episode, in the unit of ``score_unit(env_id)``.

    Args:
        env_id: the environment's id.
        episode_return: the undiscounted sum of the episode's rewards.
        final_info: the info dict of the episode's last step.

    Returns:
        The return, or 1.0 for a success and 0.0 for a failure.
    """
    if score_unit(env_id) == "return":
        return episode_return
    # MiniGrid's info is empty, but its only reward is a positive one for success.
    return float(final_info.get("success", episode_return > 0))
