"""Which steps the outputs of a view depend on, as far as that can be found in reasonable time.

Dimensions: C chosen outputs, T steps, D input width.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from lukasa.agents.sequence import affordable, evaluation_mode, step_gradients
from lukasa.agents.sequence.step_gradients import Readout
from lukasa.ground.mistakes import UserError
from lukasa.launch.views.view import Gradients
from lukasa.memory import Core

MOST_STEPS = 512
"""Steps from the first on within which outputs are differentiated."""
MOST_OUTPUTS = 512
DEFAULT = 32
"""Outputs that are differentiated where nobody says."""


def check_gradients(count: int) -> None:
    """Refuse a number of outputs that cannot be.

    Raises:
        UserError: it is.
    """
    if not 0 <= count <= MOST_OUTPUTS:
        raise UserError(f"option --gradients is {count}: expected 0 to {MOST_OUTPUTS}")


def output_gradients(
    core: Core, inputs: Tensor, readout: Readout, candidates: Sequence[int], count: int, stands: str
) -> tuple[Gradients | None, list[str]]:
    """The gradient of some outputs with respect to the input of each step, and what is to be said of it.

    Args:
        core: any core.
        inputs: [T, D].
        readout: what stands for an output; see ``lukasa.agents.sequence.step_gradients``.
        candidates: steps of outputs that are worth it; some of them, evenly spread, are taken where they are many.
        count: outputs to take at most; 0 for none.
        stands: that, in words.
    """
    within = [step for step in candidates if step < MOST_STEPS]
    if not count or not within:
        late = "" if within or not candidates else f"no gradient: no output is among the first {MOST_STEPS} steps"
        return None, [late] if late else []
    steps = min(len(inputs), max(within) + 1)
    able = affordable(core, steps, min(count, len(within)))
    chosen = _spread(within, able)
    try:
        with evaluation_mode(core):
            norms = step_gradients(core, inputs[:steps], readout, chosen)
    except (RuntimeError, NotImplementedError, ValueError) as error:
        return None, [f"no gradient: the core lets none through ({' '.join(str(error).split())[:120]})"]
    of = f"norm of the gradient of {stands} with respect to the input of each step"
    notes = [f"gradient: {of}, for {len(chosen)} of {len(candidates):,} outputs"]
    if able < min(count, len(within)):
        notes[0] += "; more would take too long"
    elif len(within) < len(candidates):
        notes[0] += f", among the first {MOST_STEPS} steps"
    padded = {way: np.pad(one.cpu().numpy(), ((0, 0), (0, len(inputs) - steps))) for way, one in norms.items()}
    return Gradients(chosen, padded, of), notes


def _spread(candidates: Sequence[int], count: int) -> list[int]:
    """So many of them, evenly spread, with the last.

    Example:
        >>> _spread([3, 4, 5, 6, 7], 3)
        [3, 5, 7]
    """
    if count == 1:
        return [candidates[-1]]
    places = np.unique(np.linspace(0, len(candidates) - 1, min(count, len(candidates))).round().astype(int))
    return [int(candidates[at]) for at in places]
