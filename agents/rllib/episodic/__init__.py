"""Agents that look up what earlier episodes earned: Neural Episodic Control and model-free episodic control."""

from lukasa.agents.rllib.episodic.config import MemoryMFECConfig, MemoryNECConfig
from lukasa.agents.rllib.episodic.module import EpisodicModule
from lukasa.agents.rllib.episodic.options import MFECOptions, NECOptions

__all__ = ["EpisodicModule", "MFECOptions", "MemoryMFECConfig", "MemoryNECConfig", "NECOptions"]
