"""Agents that look up what earlier episodes earned: by looking or by planning."""

from lukasa.agents.rllib.episodic.config import MemoryMBECConfig, MemoryMFECConfig, MemoryNECConfig
from lukasa.agents.rllib.episodic.module import EpisodicModule
from lukasa.agents.rllib.episodic.options import MBECOptions, MFECOptions, NECOptions

__all__ = [
    "EpisodicModule",
    "MBECOptions",
    "MFECOptions",
    "MemoryMBECConfig",
    "MemoryMFECConfig",
    "MemoryNECConfig",
    "NECOptions",
]
