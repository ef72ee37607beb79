"""The Neural Programmer-Interpreter: a core, its program memory, and the interpreter that runs it."""

from lukasa.memory.programs.core import ARGUMENTS, NPI, NPIOutput, NPIState
from lukasa.memory.programs.interpreter import ENDINGS, Executed, Interpreter, Surroundings, Taken
from lukasa.memory.programs.memo import Memo

__all__ = [
    "ARGUMENTS",
    "ENDINGS",
    "NPI",
    "Executed",
    "Interpreter",
    "Memo",
    "NPIOutput",
    "NPIState",
    "Surroundings",
    "Taken",
]
