"""Memory agents in Ray RLlib: any memory core in PPO, APPO or IMPALA."""

from agents.rllib.acting import RLAgent
from agents.rllib.algorithms import ALGORITHMS, algorithm_class, algorithm_options, make_algorithm_options
from agents.rllib.config import MemoryAPPOConfig, MemoryIMPALAConfig, MemoryPPOConfig
from agents.rllib.environments import register_environment
from agents.rllib.learning_options import APPOOptions, IMPALAOptions, NoOptions, PPOOptions
from agents.rllib.memory_config import MemoryConfig
from agents.rllib.module import MemoryRLModule
from agents.rllib.rollout import RolloutEpisode, rollout
from agents.rllib.settings import MemorySettings

__all__ = [
    "ALGORITHMS",
    "APPOOptions",
    "IMPALAOptions",
    "MemoryAPPOConfig",
    "MemoryConfig",
    "MemoryIMPALAConfig",
    "MemoryPPOConfig",
    "MemoryRLModule",
    "MemorySettings",
    "NoOptions",
    "PPOOptions",
    "RLAgent",
    "RolloutEpisode",
    "algorithm_class",
    "algorithm_options",
    "make_algorithm_options",
    "register_environment",
    "rollout",
]
