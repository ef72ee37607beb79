"""Programs: environments, the right programs on them, and their execution traces."""

from lukasa.tasks.programs.catalogue import TASKS, ProgramTask, UnknownProgramTaskError
from lukasa.tasks.programs.environment import ACT, NONE, ActionError, Call, Environment, Many, Scene
from lukasa.tasks.programs.right_programs import FORMS, Form
from lukasa.tasks.programs.traces import Frame, Step, Trace, cases, frames, right_steps, right_trace, run
from lukasa.tasks.programs.writing import TraceError, read_trace, step_lines, written_seen, written_trace

__all__ = [
    "ACT",
    "FORMS",
    "NONE",
    "TASKS",
    "ActionError",
    "Call",
    "Environment",
    "Form",
    "Frame",
    "Many",
    "ProgramTask",
    "Scene",
    "Step",
    "Trace",
    "TraceError",
    "UnknownProgramTaskError",
    "cases",
    "frames",
    "read_trace",
    "right_steps",
    "right_trace",
    "run",
    "step_lines",
    "written_seen",
    "written_trace",
]
