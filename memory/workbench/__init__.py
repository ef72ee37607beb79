"""A core whose mechanisms of memory are options, to be changed one at a time."""

from lukasa.memory.workbench.core import Workbench, WorkbenchState

__all__ = ["Workbench", "WorkbenchState"]
