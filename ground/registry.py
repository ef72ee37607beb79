"""Things of one sort by name, and by the module that they are in: "package.module:Name"."""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar

from lukasa.ground.names import UnknownNameError, most_like, unknown

T = TypeVar("T")


class Registry(dict[str, T], Generic[T]):
    """Everything of one sort by name; one of your own goes by "package.module:Name", with nothing to register.

    Args:
        what: what one of them is called in messages.
        known: by name.
        accept: makes one of what "package.module:Name" names, given that path and what was found there; refuses it
            with a ``ValueError`` that says what was expected.
        error: what is raised about a name that is not known.

    Example:
        >>> shapes = Registry("shape", {"square": 4, "triangle": 3}, lambda path, found: len(found))
        >>> shapes.find("square"), shapes.find("string:digits")
        (4, 10)
        >>> shapes.find("squire")
        Traceback (most recent call last):
            ...
        lukasa.ground.names.UnknownNameError: unknown shape 'squire': did you mean 'square'?
    """

    def __init__(
        self,
        what: str,
        known: Mapping[str, T],
        accept: Callable[[str, Any], T],
        error: type[UnknownNameError] = UnknownNameError,
    ):
        super().__init__()
        self.what, self.accept, self.error = what, accept, error
        for name, one in known.items():
            self.register(name, one)

    def register(self, name: str, one: T) -> T:
        """Add one under a plain name.

        Raises:
            ValueError: there is one of that name, or the name has a colon, which is for those that go by their module.
        """
        if name in self:
            raise ValueError(f"there is a {self.what} {name!r} already: choose another name")
        if is_own(name):
            raise ValueError(f"{self.what} {name!r}: a name has no colon")
        self[name] = one
        return one

    def find(self, name: str) -> T:
        """The one of a name, or of "package.module:Name".

        Raises:
            UnknownNameError: there is none, or it cannot be imported, or it is something else.
        """
        if not is_own(name):
            if name not in self:
                raise self.error(unknown(self.what, name, self))
            return self[name]
        found = import_named(self.what, name, self.error)
        try:
            return self.accept(name, found)
        except ValueError as refused:
            what = found.__name__ if hasattr(found, "__name__") else f"a {type(found).__name__}"
            raise self.error(f"{self.what} {name!r} is {what}: {refused}") from None


def is_own(name: str) -> bool:
    """Whether a name is that of one's own: "package.module:Name"."""
    return ":" in name


def subclass_of(base: type[T], called: str) -> Callable[[str, Any], type[T]]:
    """What accepts the subclasses of a class, for a ``Registry``.

    Args:
        base: the class.
        called: how a user imports it.
    """

    def accept(path: str, found: Any) -> type[T]:
        if isinstance(found, type) and issubclass(found, base):
            return found
        raise ValueError(f"expected a subclass of {called}")

    return accept


def import_named(what: str, path: str, error: type[UnknownNameError] = UnknownNameError) -> Any:
    """What "package.module:Name" names; the name may have dots, for what is inside a class.

    Args:
        what: what it is called in messages.
        path: the module, a colon, and the name in it.
        error: what is raised.

    Raises:
        UnknownNameError: it cannot be imported; one sentence says why, and what to do.
    """
    module_name, _, name = path.partition(":")
    if not all(part.isidentifier() for part in (*module_name.split("."), *name.split("."))):
        raise error(f"{what} {path!r}: expected package.module:Name, a module that can be imported and a name in it")
    try:
        found: Any = import_module(module_name)
    except UnknownNameError as refused:
        raise error(f"{what} {path!r}: {refused}") from refused.__cause__
    for part in name.split("."):
        if not hasattr(found, part):
            near = most_like(part, [one for one in dir(found) if not one.startswith("_")])
            hint = f"did you mean {near!r}?" if near else "give package.module:Name of one that it has"
            raise error(f"{what} {path!r}: module {module_name!r} has no {name!r}: {hint}")
        found = getattr(found, part)
    return found


def import_module(name: str) -> ModuleType:
    """A module of a user's own.

    Raises:
        UnknownNameError: it is not there, or fails; the message is the end of a sentence, its cause what was raised.
    """
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as fault:  # a module of one's own may raise anything, or be a script
        if isinstance(fault, ModuleNotFoundError) and fault.name and f"{name}.".startswith(f"{fault.name}."):
            missing = f"there is no module {fault.name!r} to import: start in the folder that holds it, or install it"
            raise UnknownNameError(missing) from fault
        said = " ".join(str(fault).split())
        frames = [one for one in traceback.extract_tb(fault.__traceback__) if not one.filename.startswith("<")]
        where = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if len(frames) > 2 else ""
        reason = f"{type(fault).__name__}{': ' if said else ''}{said}{where}"
        raise UnknownNameError(f"its module {name!r} cannot be imported: {reason}") from fault
