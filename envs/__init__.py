"""Gymnasium environments that test memory; importing this package registers them."""

from envs.bandits import Bandit, BanditVector
from envs.catalogue import ENVIRONMENTS, Environment, episode_score, register_environments, score_unit
from envs.conforming import Conforming, ObservationError, conform
from envs.making import MissingExtraError, UnknownEnvironmentError, make, make_vec
from envs.repeat_previous import RepeatPrevious, RepeatPreviousVector
from envs.symbolic_grid import SymbolicGrid
from envs.tabular import TabularMDP, TabularMDPVector
from envs.tmaze import TMaze, TMazeVector

__all__ = [
    "ENVIRONMENTS",
    "Bandit",
    "BanditVector",
    "Conforming",
    "Environment",
    "MissingExtraError",
    "ObservationError",
    "RepeatPrevious",
    "RepeatPreviousVector",
    "SymbolicGrid",
    "TMaze",
    "TMazeVector",
    "TabularMDP",
    "TabularMDPVector",
    "UnknownEnvironmentError",
    "conform",
    "episode_score",
    "make",
    "make_vec",
    "register_environments",
    "score_unit",
]

register_environments()
