"""Memory agents in Ray RLlib: any memory core in PPO, APPO, IMPALA, DQN or episodic control."""

from lukasa.agents.policy.settings import MemorySettings
from lukasa.agents.rllib.acting import RLAgent
from lukasa.agents.rllib.algorithms import ALGORITHMS, algorithm_class, algorithm_options, make_algorithm_options
from lukasa.agents.rllib.config import MemoryAPPOConfig, MemoryIMPALAConfig, MemoryPPOConfig
from lukasa.agents.rllib.environments import register_environment
from lukasa.agents.rllib.episodic import (
    MBECOptions,
    MemoryMBECConfig,
    MemoryMFECConfig,
    MemoryNECConfig,
    MFECOptions,
    NECOptions,
)
from lukasa.agents.rllib.learning_options import APPOOptions, IMPALAOptions, NoOptions, PPOOptions
from lukasa.agents.rllib.memory_config import MemoryConfig
from lukasa.agents.rllib.module import MemoryRLModule
from lukasa.agents.rllib.old_names import old_names
from lukasa.agents.rllib.reinforce import MemoryReinforceConfig, ReinforceOptions
from lukasa.agents.rllib.replay.config import MemoryDQNConfig, MemoryReplayConfig
from lukasa.agents.rllib.replay.options import DQNOptions
from lukasa.agents.rllib.rollout import RolloutEpisode, rollout

__all__ = [
    "ALGORITHMS",
    "APPOOptions",
    "DQNOptions",
    "IMPALAOptions",
    "MBECOptions",
    "MFECOptions",
    "MemoryAPPOConfig",
    "MemoryConfig",
    "MemoryDQNConfig",
    "MemoryIMPALAConfig",
    "MemoryMBECConfig",
    "MemoryMFECConfig",
    "MemoryNECConfig",
    "MemoryPPOConfig",
    "MemoryRLModule",
    "MemoryReinforceConfig",
    "MemoryReplayConfig",
    "MemorySettings",
    "NECOptions",
    "NoOptions",
    "PPOOptions",
    "RLAgent",
    "ReinforceOptions",
    "RolloutEpisode",
    "algorithm_class",
    "algorithm_options",
    "make_algorithm_options",
    "old_names",
    "register_environment",
    "rollout",
]
