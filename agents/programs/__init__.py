"""Cores that learn programs from execution traces, and carry them out."""

from lukasa.agents.programs.batches import Traces
from lukasa.agents.programs.executing import Carried, Execution, ProgramAgent, carry_out, fair_budget
from lukasa.agents.programs.learner import Balance, ProgramLearner
from lukasa.agents.programs.source import TraceSource
from lukasa.agents.programs.verifying import Failure, Verified, verify

__all__ = [
    "Balance",
    "Carried",
    "Execution",
    "Failure",
    "ProgramAgent",
    "ProgramLearner",
    "TraceSource",
    "Traces",
    "Verified",
    "carry_out",
    "fair_budget",
    "verify",
]
