"""A trained core that reads and answers step by step.

Dimensions: n sequences side by side, D columns of an input, K columns of an output.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from lukasa import memory
from lukasa.agents.sequence.answering import respond
from lukasa.memory import Core
from lukasa.tasks import Spec


class CoreAgent:
    """Inputs to outputs, with the state kept from one to the next.

    Args:
        core: what was trained.
        spec: of the task that it was trained on.
        copies: n, sequences that it reads side by side; None for one, whose inputs have no batch axis.

    Raises:
        ValueError: ``copies`` is not at least 1.
    """

    def __init__(self, core: Core, spec: Spec, *, copies: int | None = None):
        if copies is not None and copies < 1:
            raise ValueError(f"copies is {copies}: expected at least 1, or None for one sequence without a batch")
        self.core, self.spec, self.copies = core.eval(), spec, copies
        self._like = next(core.parameters())
        self.reset()

    def reset(self, rows: Any = None) -> None:
        """Forget: the next input begins a sequence.

        Args:
            rows: which of n sequences: a mask of n booleans, or their numbers; all by default.
        """
        count = self.copies or 1
        if rows is None:
            self._state, self._before = None, None
            self._starts = torch.zeros(count, dtype=torch.bool, device=self._like.device)
        else:
            chosen = np.asarray(rows)
            self._starts[torch.as_tensor(chosen, device=self._like.device)] = True

    @torch.no_grad()
    def act(self, inputs: Any, *, own_answer: bool = False) -> np.ndarray:
        """Read one input and answer.

        Args:
            inputs: [D], or [n, D] with ``copies``; columns as ``spec.inputs`` lists them.
            own_answer: where the task shows the answer before (``spec.feedback``), show the core its own one instead
                of what the inputs hold.

        Returns:
            Scores before any squashing, [K] or [n, K]; ``answer`` names what they say.

        Raises:
            ValueError: the inputs have another shape, or the task shows no answers.
        """
        shape = (self.core.input_size,) if self.copies is None else (self.copies, self.core.input_size)
        shown = _tensor(inputs).to(self._like)
        if shown.shape != shape:
            raise ValueError(f"inputs have shape {tuple(shown.shape)}: expected {shape}")
        if own_answer and not self.spec.feedback:
            raise ValueError("this task shows no answers among its inputs: leave own_answer out")
        outputs = self._step(shown.reshape(-1, self.core.input_size), own_answer)
        return outputs.reshape(*shape[:-1], -1).float().cpu().numpy()

    def answer(self, outputs: Any) -> np.ndarray:
        """What outputs say: bits, symbols by number, or numbers, [..., symbols]."""
        given = _tensor(outputs)
        return self.spec.answers(given.reshape(1, -1, given.shape[-1])).reshape(*given.shape[:-1], -1).cpu().numpy()

    def _step(self, shown: Tensor, own_answer: bool) -> Tensor:
        state = self._state
        if state is not None and bool(self._starts.any()):
            state = memory.reset_rows(state, self.core.initial_state(len(shown)), self._starts)
        own = None
        if own_answer and self._before is not None:
            own = ~self._starts[:, None]
        outputs, state = respond(self.core, self.spec, shown.unsqueeze(1), state=state, own=own, before=self._before)
        self._state, self._before = memory.detach_state(state), outputs[:, 0]
        self._starts = torch.zeros_like(self._starts)
        return outputs[:, 0]


def _tensor(given: Any) -> Tensor:
    """A tensor as it is, on whatever device; anything else by way of NumPy."""
    return given if isinstance(given, Tensor) else torch.as_tensor(np.asarray(given))
