"""A core that learns programs from their execution traces.

Dimensions: B frames, T steps, N programs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from lukasa.agents.learning import Learned
from lukasa.agents.programs.batches import Table, Traces, tables
from lukasa.memory.programs import NPI, NPIOutput
from lukasa.tasks import Score
from lukasa.tasks.programs import Frame

Balance = Literal["programs", "steps"]
"""What counts alike in the loss."""


class ProgramLearner:
    """A core as the trainer sees it; its score is the percentage of traces that are right in every step.

    Args:
        core: on its device.
        balance: "steps": each step of the traces counts alike, as in the paper's objective (section 3.2); "programs":
            each program counts alike, and in it each different frame, so that what is rare is learned as soon.
    """

    part = "core"

    def __init__(self, core: NPI, balance: Balance = "programs"):
        self.core = core
        self.balance: Balance = balance

    @property
    def module(self) -> NPI:
        """The core."""
        return self.core

    def learn(self, batch: Traces) -> Learned:
        """Add the gradient of the mean loss of what is taught, in nats a step, to that of the parameters."""
        self.core.train()
        frames = list(dict.fromkeys(frame for trace in batch.frames for frame in trace))
        loss, wrong, taught = 0.0, set[Frame](), self.core.taught
        new, old = ([one for one in frames if (one.program in taught) == trained] for trained in (True, False))
        weights = torch.tensor(frame_weights(new, batch, self.balance), dtype=torch.float64).to(self.core.end.weight)
        for table in tables(self.core, new):
            losses, right = frame_losses(self.core, table)
            part = (losses.sum(1) * weights[table.places]).sum()
            part.backward()
            loss += float(part.detach())
            wrong |= {new[table.places[place]] for place in (~right).nonzero().squeeze(1).tolist()}
        with torch.no_grad():  # what a frozen core does already
            for table in tables(self.core, old):
                right = frame_losses(self.core, table)[1]
                wrong |= {old[table.places[place]] for place in (~right).nonzero().squeeze(1).tolist()}
        exact = sum(wrong.isdisjoint(trace) for trace in batch.frames)
        return Learned(loss, Score(100.0 * exact, len(batch)))


def frame_weights(frames: Sequence[Frame], batch: Traces, balance: Balance) -> list[float]:
    """What a nat of each frame counts in the batch's loss: the mean of steps, or the mean of programs' means.

    Args:
        frames: those of the batch that are learned from, each once.
        batch: the traces.
        balance: what counts alike.
    """
    if balance == "steps":
        weights: Counter[Frame] = Counter()
        for trace in batch.frames:
            steps = sum(len(frame.seen) * often for frame, often in trace.items())
            for frame, often in trace.items():
                weights[frame] += often / steps / len(batch)  # pyright: ignore[reportArgumentType]
        return [weights[frame] for frame in frames]
    steps = Counter[tuple[str, str]]()
    for frame in frames:
        steps[frame.scene, frame.program] += len(frame.seen)
    return [1 / (len(steps) * steps[frame.scene, frame.program]) for frame in frames]


def frame_losses(core: NPI, table: Table) -> tuple[Tensor, Tensor]:
    """Nats of the right call at each step [B, T], and whether a frame is right in every step [B].

    The surprise of a step is that of returning or not, and where a call is right that of its program and its arguments
    (Reed and de Freitas 2016, section 3.2).
    """
    device = core.end.weight.device
    table = Table(table.scene, table.places, *(one.to(device) for one in table[2:]))
    output, _ = core(*table.asked)
    returns = (table.calls < 0) & table.there
    called = (table.calls >= 0) & table.there
    losses = F.binary_cross_entropy_with_logits(output.end, returns.to(output.end), reduction="none") * table.there
    right = ((output.end > 0) == returns) | ~table.there
    losses = losses.masked_scatter(called, losses[called] + call_losses(output, table, called))
    right = right & (~called | is_right(output, table))
    return losses, right.all(1)


def call_losses(output: NPIOutput, table: Table, called: Tensor) -> Tensor:
    """Nats of the right program and of its arguments at the steps that call one, in order."""
    program = F.cross_entropy(output.programs[called], table.calls[called], reduction="none")
    said, given = output.arguments[called], table.given[called]
    return program + F.cross_entropy(said.flatten(0, 1), given.flatten(), reduction="none").view(-1, 3).sum(1)


def is_right(output: NPIOutput, table: Table) -> Tensor:
    """Whether the likeliest program and arguments are the right ones [B, T]."""
    return (output.programs.argmax(-1) == table.calls) & (output.arguments.argmax(-1) == table.given).all(-1)
