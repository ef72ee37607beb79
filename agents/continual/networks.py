"""What answers the examples of a stream: an encoder, a reader or a core, with its answers.

Dimensions: B examples, A answers to one, K columns of the output, T tasks, S symbols of a step, V values of a symbol.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lukasa import memory
from lukasa.agents.continual.encoders import PerceptronEncoder, SmallConvEncoder
from lukasa.agents.continual.slots import SlotLayer
from lukasa.agents.few_shot import Encoder
from lukasa.ground.options import check_options, options_of
from lukasa.memory.collecting import refuse_choices
from lukasa.memory.readers import Reader, Sizes, make_reader
from lukasa.tasks.continual import Stream, unpacked

ENCODERS: Mapping[str, Callable[..., Encoder]] = {"conv": SmallConvEncoder, "mlp": PerceptronEncoder}
"""Encoders of pictures by name."""


class Network(nn.Module):
    """Scores the answers of examples.

    Attributes:
        task_known: whether it is told which task an example is of.
        sees_task: whether what it makes of an example depends on the task that it is told.
        heads: int64, the columns of the output that are the answers of each task, task by task.
    """

    heads: list[Tensor]
    sees_task = False

    def __init__(self, stream: Stream, task_known: bool):
        super().__init__()
        self.task_known, self.heads, self.columns = task_known, list(stream.columns), stream.answers
        self.tasks = len(stream)

    def forward(self, inputs: Tensor, tasks: Tensor) -> Tensor:
        """Scores of every column, whichever task's they are: [B, A, K].

        Args:
            inputs: [B, ...], as ``Taught`` has them.
            tasks: int64 [B].
        """
        raise NotImplementedError

    def scores(self, inputs: Tensor, tasks: Tensor) -> Tensor:
        """Scores of the answers that may be: as ``forward``, minus infinity where a known task has no such answer."""
        return self.allowed(self(inputs, tasks), tasks)

    def allowed(self, scores: Tensor, tasks: Tensor) -> Tensor:
        """Minus infinity in columns that are no answers of the task, where the task is known."""
        return scores.masked_fill(~self._mask(scores)[tasks][:, None], -torch.inf) if self.task_known else scores

    def wanted(self, answers: Tensor, tasks: Tensor) -> Tensor:
        """The columns of answers [B, A]: -1 where nothing is asked."""
        return answers

    def named(self, columns: Tensor) -> Tensor:
        """The answers that columns stand for."""
        return columns

    def _mask(self, like: Tensor) -> Tensor:
        mask = torch.zeros(self.tasks, like.shape[-1], dtype=torch.bool, device=like.device)
        for task, columns in enumerate(self.heads):
            mask[task, columns.to(like.device)] = True
        return mask


class Classifier(Network):
    """An encoder with a linear head; each task has a head of its own where tasks are known.

    Args:
        stream: whose pictures it names.
        encoder: of single pictures.
        task_known: whether it is told the task.
        slots: of a memory between encoder and head; 0 for none.
        chosen: slots that each picture reads.
    """

    def __init__(self, stream: Stream, encoder: Encoder, task_known: bool, *, slots: int = 0, chosen: int = 8):
        super().__init__(stream, task_known)
        self.encoder = encoder
        self.apart = task_known and stream.shares_answers
        if self.apart:
            self.heads = [one + task * stream.answers for task, one in enumerate(stream.columns)]
            self.columns = stream.answers * len(stream)
        self.answers = stream.answers
        self.slots = SlotLayer(encoder.size, slots, chosen) if slots else None
        self.head = nn.Linear(encoder.size, self.columns)

    def forward(self, inputs: Tensor, tasks: Tensor) -> Tensor:
        """Scores of every column: [B, 1, K]."""
        features = self.encoder(as_pictures(inputs))
        return self.head(features if self.slots is None else self.slots(features)).unsqueeze(1)

    def wanted(self, answers: Tensor, tasks: Tensor) -> Tensor:
        """The columns of answers: in the head of the task where tasks have heads of their own."""
        return answers + tasks[:, None] * self.answers if self.apart else answers

    def named(self, columns: Tensor) -> Tensor:
        """The answers that columns stand for."""
        return columns % self.answers if self.apart else columns


class StoryNetwork(Network):
    """A reader of stories (``lukasa.memory.readers``); a known task says which answers there are.

    Args:
        stream: of stories.
        task_known: whether it is told the task.
        reader: its name.
        options: its own options.
    """

    def __init__(self, stream: Stream, task_known: bool, reader: str, options: Mapping[str, Any]):
        super().__init__(stream, task_known)
        self.reader: Reader = make_reader(reader, Sizes(*stream.sizes), **options)

    def forward(self, inputs: Tensor, tasks: Tensor) -> Tensor:
        """Scores of every answer: [B, 1, K]."""
        return self.reader(unpacked(inputs)).scores.unsqueeze(1)


class CoreNetwork(Network):
    """A core that learns every task in one width; a known task is shown beside each input.

    Args:
        stream: of sequences.
        task_known: whether it is told the task.
        core: its name.
        options: its own options.
    """

    def __init__(self, stream: Stream, task_known: bool, core: str, options: Mapping[str, Any]):
        super().__init__(stream, task_known)
        inputs, self.symbols, self.values = stream.sizes
        width = inputs + (len(stream) if task_known else 0)
        self.core = memory.make_core(core, input_size=width, output_size=self.symbols * self.values, **options)
        refuse_choices(self.core, "a learner of a stream of tasks")
        self.sees_task = task_known

    def forward(self, inputs: Tensor, tasks: Tensor) -> Tensor:
        """Scores of every value of every symbol of every step: [B, T S, V]."""
        if self.task_known:
            shown = F.one_hot(tasks, self.tasks).to(inputs)[:, None].expand(-1, inputs.shape[1], -1)
            inputs = torch.cat([inputs, shown], -1)
        outputs, _ = memory.unroll(self.core, inputs)
        return outputs.unflatten(-1, (self.symbols, self.values)).flatten(1, 2)


def as_pictures(inputs: Tensor) -> Tensor:
    """Pictures as encoders take them, from 0 to 1 for all ink."""
    return inputs.float() / 255 if inputs.dtype == torch.uint8 else inputs


def make_network(
    stream: Stream, model: str, options: Mapping[str, Any], *, task_known: bool, slots: int = 0, chosen: int = 8
) -> Network:
    """The network that learns a stream.

    Args:
        stream: what it learns.
        model: of pictures an encoder, "conv" or "mlp"; of stories a reader; of sequences a core.
        options: of the model.
        task_known: whether it is told which task an example is of.
        slots: of a memory between encoder and head, of pictures alone; 0 for none.
        chosen: slots that each picture reads.

    Raises:
        UnknownNameError: there is no such reader, core or option.
        ValueError: there is no such encoder, or an option cannot be used.
    """
    if stream.form == "stories":
        return StoryNetwork(stream, task_known, model, options)
    if stream.form == "sequences":
        return CoreNetwork(stream, task_known, model, options)
    return Classifier(
        stream, make_picture_encoder(model, stream.shape, options), task_known, slots=slots, chosen=chosen
    )


def make_picture_encoder(name: str, shape: Sequence[int], options: Mapping[str, Any]) -> Encoder:
    """An encoder of pictures by name.

    Raises:
        UnknownNameError: it has no such option.
        ValueError: there is no such encoder, or an option cannot be used.
    """
    if name not in ENCODERS:
        raise ValueError(f"unknown encoder {name!r}: choose one of {', '.join(map(repr, ENCODERS))}")
    build = ENCODERS[name]
    check_options(f"encoder {name!r}", options, options_of(build, given=1), values=True)
    return build(tuple(shape), **options)
