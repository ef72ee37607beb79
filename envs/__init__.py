"""Gymnasium environments that test memory; importing this package registers them."""

from lukasa.envs.autoreset import start_over_at_the_next_step
from lukasa.envs.bandits import Bandit, BanditVector
from lukasa.envs.bit_flipping import BitFlipping, BitFlippingVector
from lukasa.envs.catalogue import ENVIRONMENTS, Environment, episode_score, register_environments, score_unit
from lukasa.envs.conforming import Conforming, ObservationError, conform
from lukasa.envs.failures import EnvironmentFailedError, failure_of
from lukasa.envs.goal_search import GoalSearch, GoalSearchVector
from lukasa.envs.i_maze import IMaze, IMazeVector
from lukasa.envs.key_door import KeyDoor, KeyDoorVector
from lukasa.envs.making import MissingExtraError, UnknownEnvironmentError, has_vector_program, make, make_vec
from lukasa.envs.many_agents import ManyAgents, possible_agents
from lukasa.envs.own_cues import OwnCues
from lukasa.envs.pattern_matching import PatternMatching, PatternMatchingVector
from lukasa.envs.positions import AddPosition
from lukasa.envs.reach import Reach, ReachVector
from lukasa.envs.repeat_previous import RepeatPrevious, RepeatPreviousVector
from lukasa.envs.shaping import PotentialShaping, register_shaped
from lukasa.envs.streams import copy_seeds, reset_copies, reset_seeded, stream_seed
from lukasa.envs.symbolic_grid import SymbolicGrid
from lukasa.envs.tabular import TabularMDP, TabularMDPVector
from lukasa.envs.tapes import Tapes, TapesVector, TapeTrace
from lukasa.envs.tmaze import TMaze, TMazeVector

__all__ = [
    "ENVIRONMENTS",
    "AddPosition",
    "Bandit",
    "BanditVector",
    "BitFlipping",
    "BitFlippingVector",
    "Conforming",
    "Environment",
    "EnvironmentFailedError",
    "GoalSearch",
    "GoalSearchVector",
    "IMaze",
    "IMazeVector",
    "KeyDoor",
    "KeyDoorVector",
    "ManyAgents",
    "MissingExtraError",
    "ObservationError",
    "OwnCues",
    "PatternMatching",
    "PatternMatchingVector",
    "PotentialShaping",
    "Reach",
    "ReachVector",
    "RepeatPrevious",
    "RepeatPreviousVector",
    "SymbolicGrid",
    "TMaze",
    "TMazeVector",
    "TabularMDP",
    "TabularMDPVector",
    "TapeTrace",
    "Tapes",
    "TapesVector",
    "UnknownEnvironmentError",
    "conform",
    "copy_seeds",
    "episode_score",
    "failure_of",
    "has_vector_program",
    "make",
    "make_vec",
    "possible_agents",
    "register_environments",
    "reset_copies",
    "reset_seeded",
    "score_unit",
    "start_over_at_the_next_step",
    "stream_seed",
]

register_environments()
register_shaped()
