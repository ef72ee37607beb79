"""Tasks on a random-access memory of integers (Kurach, Andrychowicz & Sutskever 2016)."""

from lukasa.tasks.ram.memories import Memories, RamTask
from lukasa.tasks.ram.table import RAM_TASKS, ram_task

__all__ = ["RAM_TASKS", "Memories", "RamTask", "ram_task"]
