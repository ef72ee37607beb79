"""Data sets of few-shot episodes by name: what each is asked, which parts it has, and its classes × instances.

Dimensions: C classes, E instances of each.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from lukasa.ground.names import UnknownNameError, nearest
from lukasa.ground.options import check_value, options_of
from lukasa.ground.registry import Registry, is_own
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


class UnknownDatasetError(UnknownNameError):
    """A data set, or an option of one, that there is not; or one of your own that cannot be used."""


def _own(path: str, found: Any) -> Dataset:
    if not callable(found):
        raise ValueError("expected a class or a function that makes a data set")
    return Dataset(path, path.rpartition(":")[2], (inspect.getdoc(found) or "").partition("\n")[0], found)


DATASETS: Registry[Dataset] = Registry(
    "data set",
    {
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
    },
    _own,
    UnknownDatasetError,
)
"""Every data set by the name that ``make_dataset`` and the command line know."""


def find_dataset(name: str) -> Dataset:
    """What is known about a data set.

    Args:
        name: a key of ``DATASETS``, or "package.module:Name" of a class or function of your own.

    Raises:
        UnknownDatasetError: there is none, or it cannot be imported.
    """
    return DATASETS.find(name)


def dataset_options(name: str) -> dict[str, inspect.Parameter]:
    """The options of a data set: name to parameter, with its default and its resolved type annotation.

    Raises:
        UnknownDatasetError: there is no such data set, or an option of your own has no default.
    """
    options = options_of(find_dataset(name).make, given=0 if is_own(name) else None)
    for one in options.values():
        if one.default is one.empty:
            raise UnknownDatasetError(f"option {one.name!r} of data set {name!r} has no default: give it one")
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
        check_value(f"data set {name!r}: {option}", value, known[option].annotation, size=False)
    made = find_dataset(name).make(**options)
    if not isinstance(made, FewShotData):
        raise UnknownDatasetError(
            f"data set {name!r} is a {type(made).__name__}: expected what "
            "lukasa.tasks.few_shot_data.FewShotData describes, such as a lukasa.tasks.class_arrays.ClassArray"
        )
    return made
