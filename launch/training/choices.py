"""Options that only some choices of another option take, such as those of one algorithm."""

from __future__ import annotations

from collections.abc import Sequence

from lukasa.ground.mistakes import UserError
from lukasa.launch.kinds.kind import Group, option_name


def refuse_not_taken(group: Group, chosen: str, argv: Sequence[str]) -> tuple[str, ...]:
    """The fields that say nothing with what was chosen, after none of them was given.

    Args:
        group: that says what is taken.
        chosen: the value of the field that decides.
        argv: words of the command line.

    Raises:
        UserError: one of them is given.
    """
    fields = tuple(group.not_taken(chosen))
    spelt = {option_name(field): field for field in fields}
    for word in argv:
        given = word.partition("=")[0].replace("_", "-")
        if given in spelt:
            raise UserError(
                f"option {given} is not for {group.chosen_by} {chosen!r}: leave it out, or choose another "
                f"{option_name(group.chosen_by)}"
            )
    return fields
