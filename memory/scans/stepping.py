"""What the cores of one linear recurrence in each layer have in common.

Legend: B batch, T time, D input width, K output width, L layers, N numbers of a layer's state.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from lukasa.memory.core import Core, check_inputs


class Scanning(Core):
    """A core that runs whole sequences, of which a step is one of length 1.

    A subclass writes a constructor, ``initial_state``, a NamedTuple of one tensor [B, L, N], and ``sequence``.
    """

    resets_inside = True

    def sequence(self, inputs: Tensor, state: Any, starts: Tensor | None = None) -> tuple[Tensor, Any]:
        """All steps at once, with resets inside: inputs [B, T, D] to outputs [B, T, K]."""
        raise NotImplementedError

    def forward(self, inputs: Tensor, state: Any) -> tuple[Tensor, Any]:
        """One step: inputs [B, D] to outputs [B, K]."""
        check_inputs(self, inputs, state=state)
        outputs, after = self.sequence(inputs.unsqueeze(1), state)
        if self.recorder is not None:
            self.recorder.append({"hidden": after[0].flatten(1)})
        return outputs.squeeze(1), after
