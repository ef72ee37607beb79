"""Methods of learning one task after another."""

from lukasa.agents.continual.methods.class_memory import ClassesInMemory
from lukasa.agents.continual.methods.distillation import Distillation
from lukasa.agents.continual.methods.elastic import ElasticWeights, diagonal_fisher, spring_energy
from lukasa.agents.continual.methods.method import Method, Setting
from lukasa.agents.continual.methods.plain import FineTuning, Joint
from lukasa.agents.continual.methods.progressive import Progressive
from lukasa.agents.continual.methods.registry import METHODS, make_method, method_options
from lukasa.agents.continual.methods.rehearsal import Rehearsal
from lukasa.agents.continual.methods.sparse_update import SparseUpdate, tf_idf

__all__ = [
    "METHODS",
    "ClassesInMemory",
    "Distillation",
    "ElasticWeights",
    "FineTuning",
    "Joint",
    "Method",
    "Progressive",
    "Rehearsal",
    "Setting",
    "SparseUpdate",
    "diagonal_fisher",
    "make_method",
    "method_options",
    "spring_energy",
    "tf_idf",
]
