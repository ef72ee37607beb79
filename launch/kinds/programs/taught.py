"""The tasks of an experiment, and the core that knows their programs."""

from __future__ import annotations

import torch

from lukasa.ground.mistakes import UserError, as_user_error
from lukasa.launch.kinds.programs.experiment import ProgramExperiment
from lukasa.memory.programs import NPI
from lukasa.tasks.programs import ACT, TASKS, ProgramTask


def read_tasks(option: str, text: str) -> list[ProgramTask]:
    """Tasks out of the command line.

    Raises:
        UserError: one is named twice.
        tasks.programs.UnknownProgramTaskError: there is no such task.
    """
    names = [word.strip() for word in text.split(",") if word.strip()]
    if len(set(names)) < len(names):
        raise UserError(f"option {option} is {text!r}: expected different tasks")
    return [TASKS.find(name) for name in names]


def tasks_of(experiment: ProgramExperiment) -> tuple[list[ProgramTask], list[ProgramTask]]:
    """The tasks that the core knows already, and those that it is taught.

    Raises:
        UserError: none is taught, or one is both known and taught.
        tasks.programs.UnknownProgramTaskError: there is no such task.
    """
    known, taught = read_tasks("--known", experiment.known), read_tasks("--tasks", experiment.tasks)
    if not taught:
        raise UserError(f"option --tasks is {experiment.tasks!r}: expected tasks, such as addition,bubble_sort")
    for task in taught:
        if task in known:
            raise UserError(f"task {task.name!r} is both in --tasks and in --known: leave it out of one of them")
    return known, taught


def generations(experiment: ProgramExperiment) -> list[list[str]]:
    """The programs that the core knows already, where there are some, and those that it is taught; ACT comes first.

    Raises:
        UserError: nothing is taught.
    """
    parts = [
        [ACT, *(name for task in some for name in task.programs(experiment.form, experiment.base))]
        for some in tasks_of(experiment)
    ]
    known = list(dict.fromkeys(parts[0])) if experiment.known else []
    new = [name for name in dict.fromkeys(parts[1]) if name not in known]
    if not new:
        raise UserError(f"--known {experiment.known} has every program of --tasks {experiment.tasks}: nothing to teach")
    return [known, new] if known else [new]


def build_core(experiment: ProgramExperiment) -> NPI:
    """The untrained core of an experiment; its weights follow from the seed.

    Raises:
        UserError: it cannot have these options.
        tasks.programs.UnknownProgramTaskError: there is no such task.
    """
    with as_user_error():
        programs = generations(experiment)
        known, taught = tasks_of(experiment)
        scenes = [task.scene(experiment.base) for task in (*known, *taught)]
        torch.manual_seed(experiment.seed)
        core = NPI(
            programs,
            {scene.name: scene.symbols for scene in scenes},
            max(scene.arguments for scene in scenes),
            size=experiment.size,
            layers=experiment.layers,
            encoding=experiment.encoding,
            program_size=experiment.program_size,
            key_size=experiment.key_size,
        )
    if experiment.known:
        core.teach_last()
    return core.to(experiment.device)
