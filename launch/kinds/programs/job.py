"""Training on execution traces: from an experiment to what ``lukasa.launch.training.loop`` trains."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from lukasa.agents.learning import ALONE, Sharing, Trainer
from lukasa.agents.programs import ProgramLearner, TraceSource, carry_out, fair_budget
from lukasa.ground.mistakes import as_user_error
from lukasa.launch.kinds.initial_weights import initial_weights
from lukasa.launch.kinds.programs.experiment import ProgramExperiment
from lukasa.launch.kinds.programs.recipes import PROGRAMS
from lukasa.launch.kinds.programs.taught import build_core, tasks_of
from lukasa.launch.runs.checkpoints import to_plain
from lukasa.launch.training import by_batch
from lukasa.memory.programs import NPI, Interpreter

VALIDATED, VALIDATION_SEED = 20, 2
"""Problems of each task in a validation, and the seed that draws them."""


def make_trainer(experiment: ProgramExperiment, sharing: Sharing = ALONE) -> Trainer[ProgramLearner, TraceSource]:
    """The trainer of an experiment, before its first batch.

    Args:
        experiment: what to train.
        sharing: the processes that share its batches.

    Raises:
        UserError: an option cannot be used.
        tasks.programs.UnknownProgramTaskError: there is no such task.
    """
    core = build_core(experiment)
    if experiment.start_from:
        load_known(core, experiment, experiment.start_from)
    with as_user_error():
        source = TraceSource(tasks_of(experiment)[1], experiment.form, experiment.base, experiment.longest)
    begins = replace(experiment, start_from=None)
    return by_batch.make_trainer(begins, "programs", ProgramLearner(core, experiment.balance), source, sharing)


def load_known(core: NPI, experiment: ProgramExperiment, start_from: str) -> None:
    """Give a core the weights of a trained one; new programs keep those that they were drawn with.

    Raises:
        UserError: there is no such run or checkpoint, it is cut short, or its parameters are others.
    """
    own = core.state_dict()
    new = core.teach_last() if experiment.known else []
    kept = {name: value for name, value in own.items() if name not in new}
    weights = initial_weights(kept, "programs", lambda state: to_plain(state)["trainer"]["core"], start_from)
    core.load_state_dict({**own, **weights})
    if experiment.known:
        core.find_as_before()


class ProgramJob(by_batch.BatchJob):
    """A core and its traces, as ``lukasa.launch.training.loop`` sees them.

    Args:
        experiment: what is trained.
        sharing: the processes that share its batches.
    """

    unit = "exact %"
    # The last weights count: a line of metrics scores a few traces, of which all are right long before the end.
    scores_compare = False

    def __init__(self, experiment: ProgramExperiment, sharing: Sharing = ALONE):
        super().__init__(experiment, make_trainer(experiment, sharing), PROGRAMS)

    def validate(self) -> float:
        """The percentage of problems of twice the length of training that are carried out, the same ones each time."""
        experiment, core = self.experiment, self.trainer.learner.core
        generator = torch.Generator().manual_seed(VALIDATION_SEED)
        right: list[bool] = []
        for task in tasks_of(experiment)[1]:
            drawn: list[Any] = [
                task.sample(2 * experiment.longest, experiment.base, generator, exactly=True) for _ in range(VALIDATED)
            ]
            interpreter = Interpreter(core, task.scene(experiment.base).name)
            budget = fair_budget(task, experiment.form, experiment.base, drawn[0])
            right += carry_out(interpreter, task, experiment.base, drawn, budget).right.tolist()
        return 100 * sum(right) / len(right)
