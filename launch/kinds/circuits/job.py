"""Training of Neural Random-Access Machines: from an experiment to what ``lukasa.launch.training.loop`` trains."""

from __future__ import annotations

from typing import Any

import torch

from lukasa.agents.learning import ALONE, Sharing, Trainer
from lukasa.agents.neural_ram import Curriculum, MachineLearner, MachineSource, Scored, Tricks, score_hard
from lukasa.ground.mistakes import as_user_error
from lukasa.launch.kinds.circuits.experiment import CircuitExperiment
from lukasa.launch.kinds.circuits.recipes import CIRCUITS
from lukasa.launch.training import by_batch
from lukasa.memory.neural_ram import MODULES, Layout, Learned, NeuralRAM, take_start
from lukasa.tasks.ram import RamTask, ram_task

VALIDATED = 100
"""Memories that a start is run on to see whether it is exact."""
VALIDATION_SEED = 2_000_000
"""Added to the run's seed for what is validated on."""


def layout_of(experiment: CircuitExperiment) -> Layout:
    """The machine's parts.

    Raises:
        UserError: a module is unknown.
    """
    names = tuple(one.strip() for one in experiment.modules.split(",")) if experiment.modules else tuple(MODULES)
    with as_user_error("--modules: "):
        return Layout(experiment.registers, names)


def task_of(experiment: CircuitExperiment) -> RamTask:
    """The task.

    Raises:
        UserError: it is unknown.
    """
    with as_user_error():
        return ram_task(experiment.task)


def lengths_of(experiment: CircuitExperiment) -> tuple[int, int]:
    """The first and the last length of the curriculum.

    Raises:
        UserError: the task has no memories as short.
    """
    task = task_of(experiment)
    shortest = task.shortest if experiment.shortest is None else experiment.shortest
    with as_user_error():
        if shortest < task.shortest:
            raise ValueError(f"option --shortest is {shortest}: {task.name} needs at least {task.shortest}")
    return shortest, max(shortest, task.longest) if experiment.longest is None else experiment.longest


def make_machine(experiment: CircuitExperiment) -> NeuralRAM:
    """The untrained machines of all starts; their weights follow from the seed.

    Raises:
        UserError: the machine cannot be made.
    """
    layout = layout_of(experiment)
    torch.manual_seed(experiment.seed)
    machine = NeuralRAM(layout, starts=experiment.starts, controller=experiment.controller, hidden=experiment.hidden)
    return machine.to(experiment.device)


def make_trainer(experiment: CircuitExperiment, sharing: Sharing = ALONE) -> Trainer[MachineLearner, MachineSource]:
    """The trainer of an experiment, before its first batch.

    Args:
        experiment: what to train.
        sharing: the processes that share its batches.

    Raises:
        UserError: an option cannot be used.
    """
    task, machine = task_of(experiment), make_machine(experiment)
    shortest, longest = lengths_of(experiment)
    with as_user_error():
        curriculum = Curriculum(experiment.starts, shortest, longest, experiment.threshold)
    tricks = Tricks(
        entropy=experiment.entropy,
        entropy_half=experiment.entropy_half / experiment.batch_size,
        noise=experiment.noise,
        noise_decay=experiment.noise_decay,
        clip=experiment.start_norm,
        step_cost=experiment.step_cost,
    )
    learner = MachineLearner(machine, curriculum, tricks, sharing)
    source = MachineSource(task, curriculum, spare=experiment.spare)
    return by_batch.make_trainer(experiment, "circuits", learner, source, sharing)


def score_starts(machine: NeuralRAM, task: RamTask, length: int, rows: int, seed: int) -> list[Scored]:
    """How each start does on the same memories, run hard.

    Args:
        machine: of all starts.
        task: what they are to do.
        length: of the arrays, lists or trees.
        rows: memories.
        seed: of what is drawn.
    """
    found = []
    for start in range(machine.starts):
        policy = Learned(take_start(machine, start))
        generator = torch.Generator().manual_seed(VALIDATION_SEED + seed)
        found.append(score_hard(task, machine.layout, policy, length, rows, generator))
    return found


class CircuitJob(by_batch.BatchJob):
    """Machines and their task, as ``lukasa.launch.training.loop`` sees them.

    Args:
        experiment: what is trained.
        sharing: the processes that share its batches.
    """

    unit = "error %"
    higher_is_better = False
    # The best start changes, and lengths grow: an early score is one on shorter memories.
    scores_compare = False

    def __init__(self, experiment: CircuitExperiment, sharing: Sharing = ALONE):
        super().__init__(experiment, make_trainer(experiment, sharing), CIRCUITS)
        self.task, self.longest = task_of(experiment), lengths_of(experiment)[1]

    def standing(self) -> tuple[float | None, str]:
        """The length that the best start has come to."""
        return None, f"length {self.trainer.source.level}"

    def measure(self) -> dict[str, Any]:
        """Where the starts are: how many at the last length, and the one that is best."""
        curriculum = self.trainer.source.curriculum
        last = int((curriculum.levels == self.longest).sum())
        return {"level": self.trainer.source.level, "leader": curriculum.leader, "at_last_level": last}

    def validate(self) -> float:
        """How many percent of the starts are exact on memories of the last length, run hard."""
        machine, seed = self.trainer.learner.machine, self.experiment.seed
        scored = score_starts(machine, self.task, self.longest, VALIDATED, seed)
        return 100 * sum(one.error == 0 for one in scored) / len(scored)
