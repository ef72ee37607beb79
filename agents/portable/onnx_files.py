"""An agent's network as ONNX: one step, with the memory's state as named inputs and outputs.

Legend: B rows, always 1 here.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lukasa import memory
from lukasa.agents.portable.agent import Agent
from lukasa.agents.portable.blueprint import VALUES
from lukasa.ground.files import replacing
from lukasa.ground.spaces import leaves, nested
from lukasa.memory.states import state_leaves

START, OBSERVATION, STATE, NEXT = "start", "observation", "state.", "next_state."
"""Names of inputs and outputs, or how they begin."""
MISSING = "ONNX files need the extra onnx, which is not installed: pip install 'lukasa[onnx]'"


class OnnxError(ValueError):
    """An agent that cannot be written as ONNX; the message says why."""


class Step(nn.Module):
    """One step of an agent, from tensors to tensors.

    The inputs are ``start``, bool [B], which begins an episode whatever the state holds; the parts of an observation;
    ``previous_action`` and ``previous_reward`` where the agent sees them; and the tensors of the state. The outputs are
    ``logits`` (all options, then means, then log deviations of real numbers) or ``action_values``, both lowest where an
    ``action_mask`` forbids the action; and the next state.
    """

    def __init__(self, agent: Agent):
        super().__init__()
        self.space, self.network = agent.observation_space, agent.network
        settings = agent.network.net.settings
        self.paths = [path for path, _ in leaves(self.space)]
        self.initial = memory.detach_state(agent.core.initial_state(1))
        self.state_names = [name for name, _ in state_leaves(self.initial)]
        self.looks_back = [name for name in ("previous_action", "previous_reward") if getattr(settings, name)]
        self.head = "action_values" if agent.blueprint.head["kind"] == VALUES else "logits"

    @property
    def inputs(self) -> list[str]:
        """Names of the inputs, in order."""
        observed = [".".join((OBSERVATION, *map(str, path))) for path in self.paths]
        return [START, *observed, *self.looks_back, *(f"{STATE}{name}" for name in self.state_names)]

    @property
    def outputs(self) -> list[str]:
        """Names of the outputs, in order."""
        return [self.head, *(f"{NEXT}{name}" for name in self.state_names)]

    def forward(self, start: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        """The step."""
        observed = iter(tensors[: len(self.paths)])
        rest = list(tensors[len(self.paths) :])
        back = {name: rest.pop(0).unsqueeze(1) for name in self.looks_back}
        parts = nested(self.space, (part.unsqueeze(1) for part in observed))
        inputs = self.network.net.inputs(parts, back.get("previous_action"), back.get("previous_reward"))[:, 0]
        outputs, state = self.network.net.core(inputs, self._state(start, rest))
        found = self.network.net.masked(self.network.policy_head(torch.tanh(outputs)).unsqueeze(1), parts)
        return (found.squeeze(1), *(part for _, part in state_leaves(state) if isinstance(part, Tensor)))

    def _state(self, start: Tensor, given: list[Tensor]) -> Any:
        parts = iter(given)

        def chosen(initial: Any) -> Any:
            if not isinstance(initial, Tensor):
                return type(initial)(*map(chosen, initial))
            part = next(parts)
            begins = start.view(-1, *(1,) * (part.dim() - 1))
            if part.dtype == torch.bool:  # onnxruntime has no choice between booleans
                return (begins & initial) | (~begins & part)
            return torch.where(begins, initial, part)

        return chosen(self.initial)


def export_onnx(agent: Agent, path: str | Path) -> None:
    """Write one step of an agent to a file of ONNX, whole or not at all.

    Args:
        agent: out of its file; of a dense core.
        path: of the file.

    Raises:
        OnnxError: its core has a sparse memory, the extra is missing, or PyTorch cannot export the core.
    """
    if agent.sparse:
        raise OnnxError(
            f"core {agent.blueprint.core!r} has a sparse memory, which is changed in place and searched by an index: "
            "ONNX has neither; export it to a file of lukasa (--out), or train a dense core"
        )
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError:
        raise OnnxError(MISSING) from None
    step = Step(agent).eval()
    content = io.BytesIO()
    try:
        with torch.no_grad(), _quiet():
            program: Any = torch.onnx.export(
                step,
                example(agent, step),
                dynamo=True,
                input_names=step.inputs,
                output_names=step.outputs,
                external_data=False,
                verbose=False,
            )
            program.save(content) if program else None
    except Exception as error:  # of many kinds, and long
        first = str(error).strip().split("\n")[0][:200]
        raise OnnxError(f"PyTorch cannot export core {agent.blueprint.core!r}: {first}") from None
    with replacing(path) as file:
        file.write(content.getvalue())


def example(agent: Agent, step: Step) -> tuple[Tensor, ...]:
    """Inputs of the right shapes and types: the start of an episode in which nothing is seen."""
    observed = [
        torch.zeros(1, *leaf.shape, dtype=torch.from_numpy(_empty(leaf)).dtype)
        for _, leaf in leaves(agent.observation_space)
    ]
    widths = {"previous_action": agent.layout.width, "previous_reward": 1}
    back = [torch.zeros(1, widths[name]) for name in step.looks_back]
    state = [part.clone() for _, part in state_leaves(step.initial) if isinstance(part, Tensor)]
    return (torch.ones(1, dtype=torch.bool), *observed, *back, *state)


def _empty(leaf: Any) -> Any:
    return np.zeros(0, leaf.dtype)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the exporter says on its way from people who asked for a file."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
