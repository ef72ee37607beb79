"""Whole sequences in native code: forward and a hand-derived backward pass in one call each.

``choice`` decides whether a call can take it, without importing the compiler; ``running`` and what it imports is
compiled by Numba at the first call.
"""

from lukasa.memory.kernels.sequence.calls import step_by_step, steps_are_asked_for
from lukasa.memory.kernels.sequence.choice import act, run_native, why_slow

__all__ = ["act", "run_native", "step_by_step", "steps_are_asked_for", "why_slow"]
