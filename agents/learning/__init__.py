"""Training by gradient steps: one trainer for every learner and every source, and what it is made of."""

from lukasa.agents.learning.evaluation import Evaluation
from lukasa.agents.learning.gradients import DivergenceError, clip, group_norms
from lukasa.agents.learning.optimizers import make_optimizer, make_schedule, schedule_factor
from lukasa.agents.learning.precision import Precision, mixed_precision
from lukasa.agents.learning.rmsprop import GravesRMSProp
from lukasa.agents.learning.sharing import ALONE, ProcessGroup, Sharing
from lukasa.agents.learning.side_by_side import SideBySide
from lukasa.agents.learning.sources import Constant, Learned, Learner, Source
from lukasa.agents.learning.trainer import StepResult, Trainer

__all__ = [
    "ALONE",
    "Constant",
    "DivergenceError",
    "Evaluation",
    "GravesRMSProp",
    "Learned",
    "Learner",
    "Precision",
    "ProcessGroup",
    "Sharing",
    "SideBySide",
    "Source",
    "StepResult",
    "Trainer",
    "clip",
    "group_norms",
    "make_optimizer",
    "make_schedule",
    "mixed_precision",
    "schedule_factor",
]
