"""Learners of N-way K-shot episodes: support examples of each class, and queries to be named."""

from lukasa.agents.few_shot.acting import ClassAgent
from lukasa.agents.few_shot.adaptation import adapt, adapt_and_predict
from lukasa.agents.few_shot.encoders import ConvEncoder, Encoder, make_encoder
from lukasa.agents.few_shot.learning import EpisodeLearner, Episodes, Learner, episode_trainer, evaluate_episodes
from lukasa.agents.few_shot.lifelong import ClassMemory, Nearest, embed_all
from lukasa.agents.few_shot.maml import MAML
from lukasa.agents.few_shot.matching import MatchingNetwork
from lukasa.agents.few_shot.neighbours import NearestNeighbour, nearest_earlier, train_classifier
from lukasa.agents.few_shot.prototypical import PrototypicalNetwork
from lukasa.agents.few_shot.registry import LEARNERS, check_learner_options, learner_options, make_learner
from lukasa.agents.few_shot.sequences import SequenceLearner

__all__ = [
    "LEARNERS",
    "MAML",
    "ClassAgent",
    "ClassMemory",
    "ConvEncoder",
    "Encoder",
    "EpisodeLearner",
    "Episodes",
    "Learner",
    "MatchingNetwork",
    "Nearest",
    "NearestNeighbour",
    "PrototypicalNetwork",
    "SequenceLearner",
    "adapt",
    "adapt_and_predict",
    "check_learner_options",
    "embed_all",
    "episode_trainer",
    "evaluate_episodes",
    "learner_options",
    "make_encoder",
    "make_learner",
    "nearest_earlier",
    "train_classifier",
]
