"""Reinforce for memory agents: whole episodes, returns-to-go, and a baseline that is learned (Williams 1992)."""

from lukasa.agents.rllib.reinforce.config import MemoryReinforceConfig
from lukasa.agents.rllib.reinforce.options import ReinforceOptions

__all__ = ["MemoryReinforceConfig", "ReinforceOptions"]
