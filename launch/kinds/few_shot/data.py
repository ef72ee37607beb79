"""From an experiment to its data set and the episodes of each part."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from typing import Any

from lukasa import tasks
from lukasa.ground.mistakes import UserError, as_user_error
from lukasa.launch.kinds.few_shot.experiment import SHARED, FewShotExperiment
from lukasa.launch.kinds.kind import option_name
from lukasa.tasks import FewShotData
from lukasa.tasks.class_parts import Part, check_part
from lukasa.tasks.episodes import Shots
from lukasa.tasks.examples import Augmentation


def make_data(experiment: FewShotExperiment) -> FewShotData:
    """The data set of an experiment.

    Raises:
        UserError: there is none of that name, or it cannot have these options.
        tasks.DataError: the data is not available.
    """
    with as_user_error():
        known = tasks.dataset_options(experiment.data)
        return tasks.make_dataset(experiment.data, **experiment.dataset, **_shared(experiment, list(known)))


def _shared(experiment: FewShotExperiment, known: list[str]) -> dict[str, Any]:
    """What the experiment's own fields say about the data set.

    Raises:
        UserError: one is given that the data set has no option for.
    """
    given = {}
    for one in dataclasses.fields(experiment):
        value = getattr(experiment, one.name)
        if one.name not in SHARED or value is None:
            continue
        if one.name in known:
            given[one.name] = value
        elif value != one.default:
            options = [option_name(name) if name in SHARED else f"--dataset.{name}".replace("_", "-") for name in known]
            raise UserError(
                f"option {option_name(one.name)} is not for data {experiment.data!r}: it has {', '.join(options)}"
            )
    return given


def part_of(experiment: FewShotExperiment, data: FewShotData, part: str) -> Part:
    """What the other parts of a data set are to one of them.

    Raises:
        UserError: there is no such part.
    """
    with as_user_error():
        check_part(part, data.parts, experiment.data_title)
    return data.parts[part]


def new_part(experiment: FewShotExperiment) -> str:
    """The part whose classes are new to those of the part that was trained on."""
    return part_of(experiment, make_data(experiment), experiment.part).test


def validation_part(experiment: FewShotExperiment) -> str:
    """The part that settings are chosen by.

    Raises:
        UserError: none leaves the classes out that are trained on.
    """
    data = make_data(experiment)
    part = part_of(experiment, data, experiment.part)
    if not part.validation:
        others = [name for name, one in data.parts.items() if one.validation]
        if not others:
            raise UserError(f"--validate-every takes a part validation, which {experiment.data_title} has not")
        raise UserError(
            f"--validate-every scores classes of part validation, and part {experiment.part} may have them: "
            f"train with --part {others[0]}"
        )
    return part.validation


def make_shots(
    experiment: FewShotExperiment,
    part: str,
    *,
    ways: int,
    shots: int,
    queries: int | None = None,
    augment: bool = False,
) -> Shots:
    """The episodes of a part of the data.

    Args:
        experiment: whose data it is.
        part: of the data.
        ways: classes of an episode.
        shots: support examples of each.
        queries: of each; the experiment's when None.
        augment: whether each picture is moved, turned and stretched a little.

    Raises:
        UserError: the data cannot serve such episodes.
        tasks.DataError: the data is not available.
    """
    data = make_data(experiment)
    with as_user_error():
        examples = replace(data.load(part), augmentation=Augmentation() if augment else None)
        return Shots(examples=examples, ways=ways, shots=shots, queries=queries or experiment.queries)


def training_shots(experiment: FewShotExperiment) -> Shots:
    """The episodes that a run trains on; raises as ``make_shots``."""
    return make_shots(
        experiment, experiment.part, ways=experiment.ways, shots=experiment.shots, augment=experiment.augment
    )
