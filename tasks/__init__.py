"""Supervised tasks and few-shot episodes, on torch and numpy alone."""

from lukasa.tasks.batch import Batch
from lukasa.tasks.catalogue import TASKS, Split, Task, UnknownTaskError
from lukasa.tasks.curriculum import Curriculum, Doubling, Lessons, Uniform
from lukasa.tasks.data import DATA_SETS, DataError
from lukasa.tasks.few_shot_data import (
    DATASETS,
    Dataset,
    FewShotData,
    UnknownDatasetError,
    dataset_options,
    find_dataset,
    make_dataset,
)
from lukasa.tasks.making import check_curriculum, make_task, split_batches, task_options
from lukasa.tasks.samplers import FiniteSampler, Sampler
from lukasa.tasks.spec import Field, Score, Spec

__all__ = [
    "DATASETS",
    "DATA_SETS",
    "TASKS",
    "Batch",
    "Curriculum",
    "DataError",
    "Dataset",
    "Doubling",
    "FewShotData",
    "Field",
    "FiniteSampler",
    "Lessons",
    "Sampler",
    "Score",
    "Spec",
    "Split",
    "Task",
    "Uniform",
    "UnknownDatasetError",
    "UnknownTaskError",
    "check_curriculum",
    "dataset_options",
    "find_dataset",
    "make_dataset",
    "make_task",
    "split_batches",
    "task_options",
]
