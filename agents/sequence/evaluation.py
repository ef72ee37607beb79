"""How well a core does on sequences of a task."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from lukasa.agents.learning import Evaluation
from lukasa.agents.learning.evaluation import Answered, evaluation
from lukasa.agents.sequence.answering import on_core, own_steps, respond
from lukasa.memory import Core
from lukasa.tasks import Batch, Spec


@contextmanager
def evaluation_mode(module: nn.Module) -> Iterator[None]:
    """Evaluation mode inside the ``with`` block: nothing is drawn at random, and what is rounded at test is rounded."""
    training = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(training)


@torch.no_grad()
def evaluate(
    core: Core,
    spec: Spec,
    batches: Iterable[Batch],
    *,
    teacher_forcing: bool = False,
    observe: Callable[[Tensor, Batch], None] | None = None,
) -> Evaluation:
    """Score a core on sequences.

    Args:
        core: who answers.
        spec: of the task.
        batches: at least one sequence.
        teacher_forcing: where outputs feed back, show the right answers; by default the core sees its own.
        observe: called with the outputs of each batch and the batch, for what else is to be measured of them.

    Raises:
        ValueError: there is no sequence.
    """

    def answers() -> Iterator[Answered]:
        for batch in batches:
            batch = on_core(core, batch)
            own = own_steps(spec, batch, float(teacher_forcing))
            with evaluation_mode(core):
                outputs, _ = respond(core, spec, batch.inputs, own=own)
            if observe is not None:
                observe(outputs, batch)
            rows = [Batch(*(tensor[row : row + 1] for tensor in batch)) for row in range(len(outputs))]
            scores = [spec.score(outputs[row : row + 1], one) for row, one in enumerate(rows)]
            yield Answered(sum(spec.loss(outputs, batch).tolist()), scores, *spec.mistakes(outputs, batch))

    return evaluation(answers(), spec.unit, in_nats=spec.target.kind != "scalar")
