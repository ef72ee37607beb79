"""Supervised tasks and few-shot episodes, on torch and numpy alone."""

from tasks.batch import Batch
from tasks.catalogue import TASKS, Split, Task
from tasks.curriculum import Curriculum, Doubling, Lessons, Uniform
from tasks.data import DATA_SETS, DataError
from tasks.making import UnknownTaskError, check_curriculum, make_task, split_batches, task_options
from tasks.samplers import FiniteSampler, Sampler
from tasks.spec import Field, Score, Spec

__all__ = [
    "DATA_SETS",
    "TASKS",
    "Batch",
    "Curriculum",
    "DataError",
    "Doubling",
    "Field",
    "FiniteSampler",
    "Lessons",
    "Sampler",
    "Score",
    "Spec",
    "Split",
    "Task",
    "Uniform",
    "UnknownTaskError",
    "check_curriculum",
    "make_task",
    "split_batches",
    "task_options",
]
