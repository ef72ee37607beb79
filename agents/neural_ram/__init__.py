"""Neural Random-Access Machines that learn programs from memories before and after them."""

from lukasa.agents.neural_ram.by_hand import program_by_hand
from lukasa.agents.neural_ram.curriculum import Curriculum
from lukasa.agents.neural_ram.learner import MachineLearner, Tricks
from lukasa.agents.neural_ram.runner import ProgramRunner, Ran, longest_that_fits
from lukasa.agents.neural_ram.scoring import Scored, score_hard
from lukasa.agents.neural_ram.source import MachineBatch, MachineSource

__all__ = [
    "Curriculum",
    "MachineBatch",
    "MachineLearner",
    "MachineSource",
    "ProgramRunner",
    "Ran",
    "Scored",
    "Tricks",
    "longest_that_fits",
    "program_by_hand",
    "score_hard",
]
