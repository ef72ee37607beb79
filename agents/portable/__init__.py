"""An agent as one file, which plays with torch and numpy alone: no Ray, no Gymnasium.

``lukasa export RUN --out agent.lukasa`` writes one, ``lukasa.agents.load_agent(file)`` loads it.
"""

from lukasa.agents.portable.agent import Agent, load_agent
from lukasa.agents.portable.agent_file import AgentFileError
from lukasa.agents.portable.sessions import Session, SessionError, Sessions

__all__ = ["Agent", "AgentFileError", "Session", "SessionError", "Sessions", "load_agent"]
