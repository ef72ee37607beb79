"""Data sets of few-shot episodes by name: what each is asked, which parts it has, and its classes × instances.

Dimensions: C classes, E instances of each.
"""

from __future__ import annotations

import importlib
import inspect
import math
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from lukasa.ground.names import UnknownNameError, nearest, unknown
from lukasa.tasks.class_arrays import array
from lukasa.tasks.class_parts import Part
from lukasa.tasks.examples import Examples
from lukasa.tasks.image_folders import ImageFolder
from lukasa.tasks.omniglot_data import OmniglotClasses, OmniglotStrokes


@runtime_checkable
class FewShotData(Protocol):
    """Classes in named parts, as few-shot episodes take them."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one example."""
        ...

    @property
    def parts(self) -> Mapping[str, Part]:
        """The parts by name, "train" and "test" among them."""
        ...

    def load(self, part: str) -> Examples:
        """The classes of a part: the same ones every time.

        Raises:
            ValueError: there is no such part.
            lukasa.tasks.data.DataError: the files are not available, or broken.
        """
        ...


@dataclass(frozen=True)
class Dataset:
    """One data set by name.

    Attributes:
        name: the key of ``DATASETS``.
        title: what results call it.
        description: what is in it, in one line.
        make: the class or function that makes it; its keyword-only parameters are the options.
        place: the option that says where it is; empty where nothing has to.
        ink: whether its pictures are amounts of ink, to be shown dark on white.
    """

    name: str
    title: str
    description: str
    make: Callable[..., Any]
    place: str = ""
    ink: bool = False


DATASETS: dict[str, Dataset] = {
    one.name: one
    for one in (
        Dataset(
            "omniglot",
            "Omniglot",
            "handwritten characters of 50 alphabets (Lake et al. 2015)",
            OmniglotClasses,
            ink=True,
        ),
        Dataset(
            "omniglot_strokes",
            "generated strokes",
            "characters of a few strokes, made up here",
            OmniglotStrokes,
            ink=True,
        ),
        Dataset("folder", "images", "your own images: a folder with a folder for each class", ImageFolder, "root"),
        Dataset("array", "array", "your own .npy or .npz file of classes × instances", array, "file"),
    )
}
"""Every data set by the name that ``make_dataset`` and the command line know."""


class UnknownDatasetError(UnknownNameError):
    """A data set, or an option of one, that there is not; or one of your own that cannot be used."""


def find_dataset(name: str) -> Dataset:
    """What is known about a data set.

    Args:
        name: a key of ``DATASETS``, or "package.module:Name" of a class or function of your own.

    Raises:
        UnknownDatasetError: there is none, or it cannot be imported.
    """
    if ":" in name:
        return _imported(name)
    if name not in DATASETS:
        raise UnknownDatasetError(unknown("data set", name, DATASETS))
    return DATASETS[name]


def dataset_options(name: str) -> dict[str, inspect.Parameter]:
    """The options of a data set: name to parameter, with its default and its resolved type annotation.

    Raises:
        UnknownDatasetError: there is no such data set, or an option of your own has no default.
    """
    make: Any = find_dataset(name).make
    try:
        hints = typing.get_type_hints(make.__init__ if inspect.isclass(make) else make)
    except Exception:  # names that only a type checker sees
        hints = {}
    options = {}
    for one in inspect.signature(make).parameters.values():
        if one.kind is not one.KEYWORD_ONLY:
            continue
        if one.default is one.empty:
            raise UnknownDatasetError(f"option {one.name!r} of data set {name!r} has no default: give it one")
        guessed = str if one.default is None else type(one.default)
        options[one.name] = one.replace(annotation=hints.get(one.name, guessed))
    return options


def make_dataset(name: str, **options: Any) -> FewShotData:
    """A data set by name.

    Args:
        name: a key of ``DATASETS``, or "package.module:Name" of a class or function of your own.
        **options: the data set's own options.

    Raises:
        UnknownDatasetError: the name or an option is unknown; the message gives the nearest known one.
        ValueError: an option's value cannot be used.
        lukasa.tasks.data.DataError: the data is not available, or broken.

    Example:
        >>> made = make_dataset("omniglot_strokes", size=16, turns=False)
        >>> made.load("background_small1").values.shape
        torch.Size([136, 20, 16, 16])
    """
    known = dataset_options(name)
    for option, value in options.items():
        if option not in known:
            raise UnknownDatasetError(f"data set {name!r} has no option {option!r}: {nearest(option, known)}")
        _check_value(f"data set {name!r}: {option}", value, known[option].annotation)
    made = find_dataset(name).make(**options)
    if not isinstance(made, FewShotData):
        raise UnknownDatasetError(
            f"data set {name!r} is a {type(made).__name__}: expected what "
            "lukasa.tasks.few_shot_data.FewShotData describes, such as a lukasa.tasks.class_arrays.ClassArray"
        )
    return made


def _imported(path: str) -> Dataset:
    module_name, _, name = path.partition(":")
    try:
        found = getattr(importlib.import_module(module_name), name)
    except Exception as error:  # a module of one's own may raise anything
        reason = f"cannot be imported ({type(error).__name__}: {error}): expected 'package.module:Name'"
        raise UnknownDatasetError(f"data set {path!r} {reason}") from error
    if not callable(found):
        wanted = "expected a class or a function that makes a data set"
        raise UnknownDatasetError(f"data set {path!r} is a {type(found).__name__}: {wanted}")
    return Dataset(path, name, (inspect.getdoc(found) or "").partition("\n")[0], found)


def _check_value(where: str, value: Any, kind: Any) -> None:
    """Refuse a value of another type; only those of types that a command line spells are known."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if typing.get_origin(kind) is typing.Literal:
        choices = typing.get_args(kind)
        if value not in choices:
            raise ValueError(f"{where} is {value!r}: choose one of {', '.join(map(repr, choices))}")
        return
    fits, expected = {
        bool: (isinstance(value, bool), "true or false"),
        int: (number and isinstance(value, int), "a whole number"),
        float: (number and math.isfinite(value), "a finite number"),
        str: (isinstance(value, str), "text"),
    }.get(kind, (True, ""))
    if not fits:
        raise ValueError(f"{where} is {value!r}: expected {expected}")
