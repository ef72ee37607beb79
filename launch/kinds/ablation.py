"""Ablation on the command line: how good a run is with its memory wiped, or its controller, beside the intact one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from lukasa.ground.mistakes import UserError, as_user_error

if TYPE_CHECKING:
    from lukasa import memory

Part = Literal["memory", "controller", "both"]


def parts_to_wipe(core: memory.Core, part: str | None, ablation: bool) -> list[str | None]:
    """What to wipe, one after the other; None stands for nothing.

    Args:
        core: who is evaluated.
        part: ``--without``.
        ablation: ``--ablation``: nothing, and then each part that the core carries.

    Raises:
        UserError: the core carries nothing in that part, or both options are given.
    """
    from lukasa import memory

    return chosen_parts(memory.state_parts(core), part, ablation, lambda one: memory.without(core, one))


def chosen_parts(
    parts: Sequence[str], part: str | None, ablation: bool, check: Callable[[str], Any]
) -> list[str | None]:
    """As ``parts_to_wipe``, of whatever carries parts; ``check`` raises ValueError for those that it does not carry."""
    if part is None:
        return [None, *parts] if ablation else [None]
    if ablation:
        raise UserError(f"--ablation wipes each part in turn: leave --without {part} out")
    with as_user_error(f"--without {part}: "):
        check(part)
    return [part]


def wiped(core: memory.Core, part: str | None) -> memory.Core:
    """The core with a part wiped before every step; the core itself for None."""
    from lukasa import memory

    return core if part is None else memory.without(core, part)


def named(part: str | None) -> str:
    """What was wiped, in a table."""
    return part or "nothing"


def title_of(part: str | None) -> str:
    """What a title adds where a part was wiped.

    Example:
        >>> title_of("memory"), title_of(None)
        (', memory wiped before every step', '')
    """
    if part is None:
        return ""
    return f", {'memory and controller' if part == 'both' else part} wiped before every step"


def scores_table(rows: Sequence[tuple[str, float, tuple[float, float]]], unit: str) -> str:
    """Lines for people.

    Args:
        rows: what was wiped, the score, its interval.
        unit: of the score.

    Example:
        >>> print(scores_table([("nothing", 0.996, (0.994, 0.998)), ("memory", -0.48, (-0.492, -0.468))], "return"))
        wiped before every step  return   95 % confidence
        nothing                   0.996    0.994 to 0.998
        memory                   -0.480  -0.492 to -0.468
    """
    cells = [(what, f"{score:.3f}", f"{low:.3f} to {high:.3f}") for what, score, (low, high) in rows]
    lines = [("wiped before every step", unit, "95 % confidence"), *cells]
    first, second, third = (max(len(line[column]) for line in lines) for column in range(3))
    return "\n".join(f"{what:<{first}}  {score:>{second}}  {about:>{third}}" for what, score, about in lines)
