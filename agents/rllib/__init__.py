"""Memory agents in Ray RLlib: any memory core in PPO, APPO or IMPALA."""

from agents.rllib.acting import RLAgent
from agents.rllib.config import MemoryAPPOConfig, MemoryIMPALAConfig, MemoryPPOConfig
from agents.rllib.environments import register_environment
from agents.rllib.module import MemoryRLModule
from agents.rllib.rollout import RolloutEpisode, rollout
from agents.rllib.settings import MemorySettings

__all__ = [
    "MemoryAPPOConfig",
    "MemoryIMPALAConfig",
    "MemoryPPOConfig",
    "MemoryRLModule",
    "MemorySettings",
    "RLAgent",
    "RolloutEpisode",
    "register_environment",
    "rollout",
]
