"""Fixed sequences as a sampler, and small trainers."""

from dataclasses import dataclass

import torch

from lukasa import memory
from lukasa.agents.learning import make_optimizer
from lukasa.agents.sequence import sequence_trainer
from lukasa.tasks import Batch, Spec, make_task


@dataclass(frozen=True, kw_only=True)
class Fixed:
    """Always the same batch."""

    batch: Batch
    spec: Spec

    def sample(self, batch_size: int, generator: torch.Generator) -> Batch:
        return self.batch


def fixed(task: str, rows: int = 4, **options) -> Fixed:
    sampler = make_task(task, **options)
    batch = sampler.sample(rows, torch.Generator().manual_seed(1))
    return Fixed(batch=batch, spec=sampler.spec)


def make_core(spec: Spec, name: str = "ntm", seed: int = 0, dtype=torch.float32) -> memory.Core:
    torch.manual_seed(seed)
    sizes = {"size": 12} if name in ("lstm", "gru", "feedforward") else {"slots": 6, "word_size": 5}
    if name in ("ntm", "dnc"):
        sizes["controller_size"] = 12
    core = memory.make_core(name, input_size=spec.input_size, output_size=spec.output_size, **sizes)
    return core.to(dtype)


def make_trainer(sampler, name: str = "ntm", *, optimizer: str = "adam", lr: float = 1e-2, core=None, **options):
    core = core or make_core(sampler.spec, name)
    generator = torch.Generator().manual_seed(5)
    return sequence_trainer(
        core, sampler, make_optimizer(optimizer, core.parameters(), lr), generator, batch_size=4, **options
    )


def gradients(core: memory.Core) -> dict[str, torch.Tensor]:
    return {name: one.grad.clone() for name, one in core.named_parameters() if one.grad is not None}
