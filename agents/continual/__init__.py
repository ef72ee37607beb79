"""Learning that lasts: one task after another, and what is left of the earlier ones."""

from lukasa.agents.continual.answering import StreamAgent
from lukasa.agents.continual.consolidation import Consolidated, consolidate, kmeans
from lukasa.agents.continual.encoders import PerceptronEncoder, SmallConvEncoder, StagedEncoder
from lukasa.agents.continual.episodic import EpisodicMemory
from lukasa.agents.continual.methods import METHODS, Method, Setting, make_method, method_options
from lukasa.agents.continual.networks import ENCODERS, Network, make_network
from lukasa.agents.continual.scores import Scores, scores_of
from lukasa.agents.continual.training import StreamSource, StreamTrainer, accuracies, accuracy

__all__ = [
    "ENCODERS",
    "METHODS",
    "Consolidated",
    "EpisodicMemory",
    "Method",
    "Network",
    "PerceptronEncoder",
    "Scores",
    "Setting",
    "SmallConvEncoder",
    "StagedEncoder",
    "StreamAgent",
    "StreamSource",
    "StreamTrainer",
    "accuracies",
    "accuracy",
    "consolidate",
    "kmeans",
    "make_method",
    "make_network",
    "method_options",
    "scores_of",
]
