"""The recurrence of a Legendre Memory Unit over a whole sequence, with resets inside it.

``choice`` decides whether a call can take compiled loops, without importing the compiler. README.md has the derivation.
"""

from lukasa.memory.kernels.lmu.choice import run
from lukasa.memory.kernels.lmu.reference import Given

__all__ = ["Given", "run"]
