"""Kinds of training: what the command line needs to know of each, whatever it learns."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from launch.errors import UserError, nearest
from launch.saved_values import read_saved

if TYPE_CHECKING:
    from launch.help import Page

Experiment = TypeVar("Experiment")

LAST_SECTIONS = {
    "Running": ("stop_at", "seed", "seeds", "threads", "checkpoint_every", "resume", "checkpoint"),
    "Where": ("out", "ray", "address", "workers", "gpus_per_worker", "sync"),
}
"""Sections that the help of every kind ends with."""


@dataclass(frozen=True)
class Group:
    """A field of an experiment that another field decides about, as the core does about the options of the memory.

    Attributes:
        chosen_by: the field that decides.
        options: makes the dataclass of the options from that field's value; None where they are NAME VALUE pairs.
    """

    chosen_by: str
    options: Callable[[str], type] | None = None


@dataclass(frozen=True)
class Kind(Generic[Experiment]):
    """One kind of training.

    Attributes:
        name: the word after ``lukasa train``.
        experiment: the frozen dataclass of everything that a run is asked.
        recipes: functions that return an experiment, by name.
        groups: fields whose options depend on another field.
        may_change: fields that a resumed run may be given anew.
        least: the smallest value of a field; None is always allowed.
        above_zero: fields that must be more than 0.
        at_most_one: fields that must be no more than 1.
        before_first: fields that say how a run begins, and nothing to one that is resumed.
        before_added: what fields meant before there were any, for a ``config.json`` of that time; whatever their
            defaults are now, the run goes on as it was.
        sections: groups of the help: a title, and the fields whose options come under it; others are about learning.
        examples: command lines for the top of the help, with what each does.
    """

    name: str
    experiment: type[Experiment]
    recipes: Mapping[str, Callable[[], Experiment]]
    groups: Mapping[str, Group]
    may_change: tuple[str, ...]
    least: Mapping[str, float] = field(default_factory=dict)
    above_zero: tuple[str, ...] = ()
    at_most_one: tuple[str, ...] = ()
    before_first: tuple[str, ...] = ()
    before_added: Mapping[str, Any] = field(default_factory=dict)
    sections: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    examples: tuple[tuple[str, str], ...] = ()

    def page(self) -> Page:
        """The help of ``lukasa train KIND``."""
        from launch.help import Page

        summary = (self.experiment.__doc__ or "").partition("\n")[0]
        first = {title: names for title, names in self.sections.items() if title not in LAST_SECTIONS}
        last = {title: (*self.sections.get(title, ()), *names) for title, names in LAST_SECTIONS.items()}
        return Page(f"lukasa train {self.name} [RECIPE]", summary, self.examples, first, "Learning", last)

    def make(self, recipe: str | None) -> Experiment:
        """The experiment of a recipe; the default one for None.

        Raises:
            UserError: there is no such recipe.
        """
        if recipe is None:
            return self.experiment()
        if recipe not in self.recipes:
            raise UserError(f"unknown recipe {recipe!r}: {nearest(recipe, self.recipes)}")
        return self.recipes[recipe]()

    def from_json(self, values: Mapping[str, Any]) -> Experiment:
        """The experiment that a ``config.json`` holds.

        Raises:
            UserError: a field is unknown, of another type, or a number that no run can have.
        """
        experiment = _from_json(self.experiment, {**self.before_added, **values})
        self.check_numbers(experiment)
        return experiment

    def check_numbers(self, experiment: Experiment) -> None:
        """Refuse numbers that no run can have.

        Raises:
            UserError: one is too small or too large.
        """
        for name, least in self.least.items():
            value = getattr(experiment, name)
            if value is not None and not value >= least:
                raise UserError(f"option {option_name(name)} is {value}: expected at least {least}")
        for name in self.above_zero:
            value = getattr(experiment, name)
            if value is not None and not value > 0:
                raise UserError(f"option {option_name(name)} is {value}: expected more than 0")
        for name in self.at_most_one:
            value = getattr(experiment, name)
            if value > 1:
                raise UserError(f"option {option_name(name)} is {value}: expected at most 1")


def option_name(field_name: str) -> str:
    """How a field is spelt on the command line.

    Example:
        >>> option_name("stop_at")
        '--stop-at'
    """
    return "--" + field_name.replace("_", "-")


def _from_json(kind: type[Any], values: Mapping[str, Any], group: str = "") -> Any:
    hints = typing.get_type_hints(kind)
    made = {}
    for name, value in values.items():
        if name not in hints:
            raise UserError(f"config.json has an unknown field {group + name!r}: {nearest(name, hints)}")
        if dataclasses.is_dataclass(hints[name]):
            if not isinstance(value, dict):
                raise UserError(f"config.json: field {group + name!r} is {value!r}: expected a JSON object")
            made[name] = _from_json(hints[name], value, f"{name}.")
        else:
            made[name] = read_saved(f"config.json: field {group + name!r}", hints[name], value)
    return kind(**made)
