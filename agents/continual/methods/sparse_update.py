"""Sparse updates: of a memory of slots only those are changed that the task uses more than others did.

Dimensions: N slots, D numbers of each, B examples, C slots that each reads.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lukasa.agents.continual.methods.method import Method, Setting
from lukasa.agents.continual.networks import Classifier, Network
from lukasa.agents.learning import Learned
from lukasa.tasks.continual import Taught


class SparseUpdate(Method):
    """Sparse memory finetuning (Lin et al. 2025): only the slots that matter to a batch are updated.

    A layer of N slots found by product keys lies before the head. Everything is trained on the first tasks; from then
    on of the layer only the values of the ``updated_slots`` slots with the highest TF-IDF in the batch, and the head.
    The background of the inverse document frequency are the batches of earlier tasks.

    Args:
        setting: what it learns; of pictures.
        slots: memory slots of the layer, a square number (N).
        chosen: slots that each picture reads (C).
        updated_slots: slots that one batch may change (t).
        whole_tasks: tasks at the beginning on which everything is trained.

    Raises:
        ValueError: the stream has no pictures, or a number cannot be used.
    """

    network: Classifier

    def __init__(
        self,
        setting: Setting,
        *,
        slots: int = 1024,
        chosen: int = 8,
        updated_slots: int = 64,
        whole_tasks: int = 1,
    ):
        if setting.stream.form != "pictures":
            raise ValueError("method 'sparse_update' is for pictures: its slots lie between an encoder and a head")
        if not 1 <= updated_slots <= slots:
            raise ValueError(f"updated_slots is {updated_slots}: expected from 1 to {slots}")
        if setting.sharing.workers > 1:
            raise ValueError("method 'sparse_update' ranks slots by whole batches: train it with one worker")
        self._layer = {"slots": slots, "chosen": chosen}
        super().__init__(setting)
        self.updated_slots, self.whole_tasks = updated_slots, whole_tasks
        self.batches = 0  # of earlier tasks
        self.in_batches = torch.zeros(slots)  # in how many of them each slot was read
        self._now_batches, self._now_in = 0, torch.zeros(slots)
        self._before: Tensor | None = None  # the values before an update
        self._open = torch.zeros(0, dtype=torch.int64)  # the slots that it may change

    def make_network(self) -> Network:
        """A classifier with slots before its head."""
        return self.setting.build(**self._layer)

    @property
    def bytes(self) -> int:
        """Of the slots, and of how often each was read."""
        layer = self.network.slots
        assert layer is not None
        return sum(one.numel() * one.element_size() for one in layer.parameters()) + 4 * len(self.in_batches)

    def learn(self, batch: Taught) -> Learned:
        """As every method; then the gradient is taken off everything that is not to change."""
        learned = super().learn(batch)
        layer = self.network.slots
        assert layer is not None
        counts = torch.bincount(layer.read.flatten(), minlength=len(layer.values)).float()  # c(i)
        self._now_batches += 1
        self._now_in += (counts > 0).cpu()
        if self.task < self.whole_tasks:
            return learned
        self._open = top_slots(tf_idf(counts.cpu(), self.in_batches, self.batches), self.updated_slots)
        closed = torch.ones(len(layer.values), dtype=torch.bool)
        closed[self._open] = False
        for name, one in self.network.named_parameters():
            if name == "slots.values":
                assert one.grad is not None
                one.grad[closed] = 0
            elif not name.startswith("head."):
                one.grad = None
        self._before = layer.values.detach().clone()
        return learned

    def updated(self, batch: Taught) -> None:
        """Put back what the optimiser's momentum moved beside the slots that may change."""
        if self._before is not None:
            layer = self.network.slots
            assert layer is not None
            with torch.no_grad():
                changed = layer.values[self._open].clone()
                layer.values.copy_(self._before)
                layer.values[self._open] = changed
            self._before = None

    def end_task(self, task: int, examples: Taught) -> None:
        """The task's batches are background from now on."""
        self.batches += self._now_batches
        self.in_batches += self._now_in
        self._now_batches, self._now_in = 0, torch.zeros_like(self._now_in)

    def state_dict(self) -> dict[str, Any]:
        """How often each slot was read."""
        return {
            "batches": self.batches,
            "in_batches": self.in_batches,
            "now_batches": self._now_batches,
            "now_in": self._now_in,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.batches, self.in_batches = state["batches"], state["in_batches"].clone()
        self._now_batches, self._now_in = state["now_batches"], state["now_in"].clone()


def tf_idf(counts: Tensor, in_batches: Tensor, batches: int) -> Tensor:
    """How much more a batch reads each slot than the background did (Lin et al. 2025, section 3.2).

    c(i) / Σ c(j) · log((|B| + 1) / (Σ_b 1[c_b(i) > 0] + 1)).

    Args:
        counts: [N], c: how often the batch reads each slot.
        in_batches: [N], in how many batches of the background each slot was read.
        batches: |B|.
    """
    return counts / counts.sum().clamp_min(1) * torch.log((batches + 1) / (in_batches + 1))


def top_slots(ranks: Tensor, count: int) -> Tensor:
    """The slots of the highest ranks, int64; of equals the first. Those of rank 0 were not read, or always are."""
    order = ranks.argsort(descending=True, stable=True)[:count]
    return order[ranks[order] > 0]
