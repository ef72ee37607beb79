"""Kinds of training: what the command line needs to know of each, whatever it learns.

``lukasa.launch.kinds.table`` lists them.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from lukasa.ground.mistakes import UserError
from lukasa.ground.names import nearest
from lukasa.ground.registry import is_own
from lukasa.launch.kinds.figures import FigureOf
from lukasa.launch.kinds.running import ABOVE_ZERO, AT_MOST, AT_MOST_ONE, BELOW_ONE, LEAST, MAY_CHANGE
from lukasa.launch.kinds.subjects import Subject
from lukasa.launch.ray.placement import OnRay
from lukasa.launch.runs.directory import Run
from lukasa.launch.runs.endings import Outcome, Resume
from lukasa.launch.runs.model_files import without_training
from lukasa.launch.runs.saved_values import read_saved
from lukasa.launch.runs.stopping import Wish

Experiment = TypeVar("Experiment")


@dataclass(frozen=True)
class Group:
    """A field of an experiment that another field decides about, as the core does about the options of the memory.

    Attributes:
        chosen_by: the field that decides.
        options: makes the dataclass of the options from that field's value; None where they are NAME VALUE pairs.
        not_taken: the fields of the experiment itself that say nothing with that value: they are no options then.
    """

    chosen_by: str
    options: Callable[[str], type] | None = None
    not_taken: Callable[[str], Iterable[str]] = lambda chosen: ()


@dataclass(frozen=True)
class Experiments(Generic[Experiment]):
    """What can be asked of one kind of training.

    Attributes:
        name: the word after ``lukasa train``.
        experiment: the frozen dataclass of everything that a run is asked, derived from ``Running``, and from
            ``Optimisation`` or ``ByBatch`` where that fits. It has a ``name`` for run directories, and ``about``, which
            says what is trained on what.
        recipes: functions that return an experiment, by name.
        step_key: what a run counts: the key in every line of its metrics.
        counted: what its steps are, for people.
        groups: fields whose options depend on another field.
        may_change: fields of its own that a resumed run may be given anew.
        least: the smallest value of a field of its own; None is always allowed.
        above_zero: fields of its own that must be more than 0.
        at_most_one: fields of its own that must be no more than 1.
        before_added: what fields meant before there were any, for a ``config.json`` of that time; whatever their
            defaults are now, the run goes on as it was.
        renew: turns what a ``config.json`` of before holds into the fields of today.
        suited: what fields that nobody gives become where other options of a command line ask for it; of a new run.
        renamed: names that fields had, and how the same is asked for today.
        sections: groups of the help: a title, and the fields whose options come under it; others are about learning.
        examples: command lines for the top of the help, with what each does.
        questions: what a newcomer is asked who says nothing: the option, what it is, the list that names what there is,
            and what an empty answer means.
        shown: fields that a list of recipes shows.
        elsewhere: recipes that this kind's command takes too, and the kind that trains them.
        further_checks: refuse, with a ``UserError``, numbers that contradict each other.
    """

    name: str
    experiment: type[Experiment]
    recipes: Mapping[str, Callable[[], Experiment]]
    step_key: str
    counted: str
    may_change: tuple[str, ...] = ()
    groups: Mapping[str, Group] = field(default_factory=dict)
    least: Mapping[str, float] = field(default_factory=dict)
    above_zero: tuple[str, ...] = ()
    at_most_one: tuple[str, ...] = ()
    before_added: Mapping[str, Any] = field(default_factory=dict)
    renew: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict
    suited: Callable[[Experiment, Sequence[str]], Experiment] = lambda base, argv: base
    renamed: Mapping[str, str] = field(default_factory=dict)
    sections: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    examples: tuple[tuple[str, str], ...] = ()
    questions: tuple[tuple[str, str, str, str], ...] = ()
    shown: tuple[str, ...] = ("steps",)
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    further_checks: tuple[Callable[[Experiment], None], ...] = ()

    @property
    def changeable(self) -> tuple[str, ...]:
        """Every field that a resumed run may be given anew."""
        return (*MAY_CHANGE, *self.may_change)

    def make(self, recipe: str | None) -> Experiment:
        """The experiment of a recipe; the default one for None.

        Raises:
            UserError: there is no such recipe.
        """
        if recipe is None:
            return self.experiment()
        if recipe not in self.recipes:
            if is_own(recipe) and self.questions:
                option, what, *_ = self.questions[0]
                raise UserError(f"unknown recipe {recipe!r}: your own {what} is given by --{option} {recipe}")
            raise UserError(f"unknown recipe {recipe!r}: {nearest(recipe, [*self.recipes, *self.elsewhere])}")
        return self.recipes[recipe]()

    def from_json(self, values: Mapping[str, Any]) -> Experiment:
        """The experiment that a ``config.json`` holds.

        Raises:
            UserError: a field is unknown, of another type, or a number that no run can have.
        """
        experiment = _from_json(self.experiment, {**self.before_added, **self.renew(values)})
        self.check_numbers(experiment)
        return experiment

    def check_numbers(self, experiment: Experiment) -> None:
        """Refuse numbers that no run can have.

        Raises:
            UserError: one is too small or too large.
        """
        bounds: list[tuple[str, Callable[[Any], bool], str]] = [
            *((name, lambda value, least=least: value >= least, f"at least {least}") for name, least in _least(self)),
            *((name, lambda value: value > 0, "more than 0") for name in (*ABOVE_ZERO, *self.above_zero)),
            *((name, lambda value: value <= 1, "at most 1") for name in (*AT_MOST_ONE, *self.at_most_one)),
            *((name, lambda value, most=most: value <= most, f"at most {most}") for name, most in AT_MOST.items()),
            *((name, lambda value: value < 1, "less than 1") for name in BELOW_ONE),
        ]
        for name, holds, expected in bounds:
            value = getattr(experiment, name, None)
            if value is not None and not holds(value):
                raise UserError(f"option {option_name(name)} is {value}: expected {expected}")

    def refuse_renamed(self, names: Iterable[str]) -> None:
        """Refuse fields by the names that they had: the nearest name of today may mean something else.

        Raises:
            UserError: there is one; says how the same is asked for.
        """
        for name in names:
            if name in self.renamed:
                raise UserError(f"option {option_name(name)} has another name now: {self.renamed[name]}")

    def check_together(self, experiment: Experiment) -> None:
        """Refuse numbers that contradict each other.

        Raises:
            UserError: some do.
        """
        for check in self.further_checks:
            check(experiment)


Listen = Callable[[], AbstractContextManager[Wish]]
"""Begins to listen for a wish to stop."""


@dataclass(frozen=True)
class Evaluation(Generic[Experiment]):
    """How the runs of a kind are evaluated.

    Attributes:
        options: dataclass of the options of ``lukasa eval``, with defaults; ``checkpoint`` and ``json`` are among them.
        evaluate: from a run, its experiment and the options to what ``--json`` prints: "run", "checkpoint" and numbers.
        describe: that for people.
        of_several: from the directory of an experiment with several seeds, each seed's run and experiment, and the
            options to one result of all of them, for ``describe``; or None where each seed is evaluated by itself.
        figure: from what ``evaluate`` gave to the one figure that a model's card has; None where there is no one.
    """

    options: type
    evaluate: Callable[[Run, Experiment, Any], dict[str, Any]]
    describe: Callable[[dict[str, Any]], None]
    of_several: Callable[[Path, list[tuple[int, Run, Experiment]], Any], dict[str, Any] | None] | None = None
    figure: FigureOf | None = None


@dataclass(frozen=True)
class Pictures(Generic[Experiment]):
    """What ``lukasa plot`` draws of a run beside its learning curve.

    Attributes:
        options: dataclass of the options of ``lukasa plot``, with defaults; ``out`` and ``format`` are among them.
        draw: from a run, its experiment and the options to the files that it wrote, one after the other.
    """

    options: type
    draw: Callable[[Run, Experiment, Any], Iterator[Path]]


@dataclass(frozen=True)
class Views(Generic[Experiment]):
    """What ``lukasa view`` shows of a run.

    Attributes:
        options: dataclass of the options of ``lukasa view``, with defaults; ``out`` is among them.
        view: from a run, its experiment and the options to a ``lukasa.launch.views.view.View``.
    """

    options: type
    view: Callable[[Run, Experiment, Any], Any]


@dataclass(frozen=True)
class Kind(Generic[Experiment]):
    """One kind of training: what can be asked, and what does it. The functions import what they need when called.

    Attributes:
        experiments: what can be asked.
        check: refuses, with a ``UserError``, an experiment that cannot run, before anything is written.
        train: trains in this process, with the run locked. With ``listen`` nobody sits at the terminal: it shows
            nothing, and stops on the wish alone.
        subject: what an experiment is scored on.
        evaluation: how runs are evaluated.
        pictures: what is drawn of a run.
        views: what a page shows of a run, step by step; the kind has nothing to show over time when None.
        load_agent: from a run, its experiment and a checkpoint's name to what acts or answers; the options are those of
            ``lukasa.launch.load_agent``.
        agent_by_task: whether a run may have an agent for each task, which ``load_agent`` is told.
        on_ray: what ``--ray`` does; the kind refuses that option when None.
        exported: what ``lukasa export`` takes of a checkpoint.
    """

    experiments: Experiments[Experiment]
    check: Callable[[Experiment], None]
    train: Callable[[Run, Experiment, Resume | None, Listen | None], Outcome]
    subject: Callable[[Experiment], Subject]
    evaluation: Callable[[], Evaluation[Experiment]]
    pictures: Callable[[], Pictures[Experiment]]
    views: Callable[[], Views[Experiment]] | None = None
    load_agent: Callable[..., Any] | None = None
    agent_by_task: bool = False
    on_ray: Callable[[], OnRay[Experiment]] | None = None
    exported: Callable[[dict[str, Any]], dict[str, Any]] = without_training

    @property
    def name(self) -> str:
        """The word after ``lukasa train``."""
        return self.experiments.name


def refuse_draws(run: Run, kind: str, *, explore: bool, seed: int | None) -> None:
    """Refuse options for drawing actions.

    Raises:
        UserError: one is given.
    """
    if explore or seed is not None:
        raise UserError(f"run {run.path} is of kind {kind!r}, which draws no actions: leave explore and seed out")


def option_name(field_name: str) -> str:
    """How a field is spelt on the command line.

    Example:
        >>> option_name("stop_at")
        '--stop-at'
    """
    return "--" + field_name.replace("_", "-")


def _least(kind: Experiments[Any]) -> Iterable[tuple[str, float]]:
    return {**LEAST, **kind.least}.items()


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
