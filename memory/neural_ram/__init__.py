"""Neural Random-Access Machines (Kurach, Andrychowicz & Sutskever 2016), soft to be trained and hard to be run."""

from lukasa.memory.neural_ram.cost import Expected, expected_cost
from lukasa.memory.neural_ram.hard import HardRun, Learned, Policy, Rules, run_hard, take_start
from lukasa.memory.neural_ram.machine import MachineState, NeuralRAM, run_circuit
from lukasa.memory.neural_ram.modules import MODULES, modules_named
from lukasa.memory.neural_ram.program import Program, live_sources, read_program
from lukasa.memory.neural_ram.wiring import Layout, Wiring, wire

__all__ = [
    "MODULES",
    "Expected",
    "HardRun",
    "Layout",
    "Learned",
    "MachineState",
    "NeuralRAM",
    "Policy",
    "Program",
    "Rules",
    "Wiring",
    "expected_cost",
    "live_sources",
    "modules_named",
    "read_program",
    "run_circuit",
    "run_hard",
    "take_start",
    "wire",
]
