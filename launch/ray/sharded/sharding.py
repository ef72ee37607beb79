"""How a memory is cut into shards, checked before anything is started."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import ray

from lukasa.ground.mistakes import UserError
from lukasa.memory.sparse.layout import Layout

Placement: TypeAlias = Literal["SPREAD", "STRICT_SPREAD", "PACK"]


@dataclass(frozen=True)
class Sharding:
    """How many shards there are, where they go and how they outlive a loss.

    Attributes:
        shards: S; slot n lies in shard n mod S, so that all shards fill at the same pace.
        folder: where shards save their state; every machine that may hold a shard has to see it.
        placement: "SPREAD" puts shards on different machines as far as there are any, "STRICT_SPREAD" refuses to do
            without, "PACK" keeps them together.
        cpus: logical CPUs that a shard reserves.
        log_bytes: changes since the last save that are kept for replaying; when they are more, all shards save.
        patience: seconds that a shard may take to start, wherever there is room for it.
    """

    shards: int
    folder: Path
    placement: Placement = "SPREAD"
    cpus: float = 1.0
    log_bytes: int = 1 << 26
    patience: float = 120.0

    def check(self) -> None:
        """Refuse what cannot be placed, at once rather than pending for ever.

        Raises:
            UserError: a setting cannot be used, or the cluster has not so many machines or CPUs.
        """
        if self.shards < 1 or self.cpus <= 0 or self.log_bytes < 1 or self.patience <= 0:
            raise UserError(
                f"a sharding of {self.shards} shards, {self.cpus:g} CPUs each, {self.log_bytes:,} bytes of log and "
                f"{self.patience:g} s of patience cannot be: every one has to be positive"
            )
        if self.placement not in get_args(Placement):
            raise UserError(f"unknown placement {self.placement!r}: expected one of {', '.join(get_args(Placement))}")
        if self.folder.exists() and not self.folder.is_dir():
            raise UserError(f"{self.folder} is a file: choose a folder for the shards' saved states")
        if not ray.is_initialized():
            raise UserError("a sharded memory needs Ray and none is running here: start or join one first")
        machines = sum(machine["Alive"] for machine in ray.nodes())
        if self.placement == "STRICT_SPREAD" and self.shards > machines:
            raise UserError(
                f"{self.shards} shards are to be on machines of their own and the Ray cluster has {machines}: "
                "ask for fewer shards, add machines, or choose placement 'SPREAD'"
            )
        has = ray.cluster_resources().get("CPU", 0)
        if self.shards * self.cpus > has:
            raise UserError(
                f"{self.shards} shards of {self.cpus:g} CPUs need {self.shards * self.cpus:g} and the Ray cluster has "
                f"{has:g}: ask for fewer shards, or for less each"
            )

    def layout_of_a_shard(self, layout: Layout) -> Layout:
        """What each shard is made of.

        Raises:
            UserError: the slots cannot be divided, their order does not fit into this machine, or the memory is to live
                on another device than the CPU.
        """
        if layout.slots % self.shards:
            below = layout.slots // self.shards * self.shards
            raise UserError(
                f"{layout.slots:,} slots cannot be divided among {self.shards} shards: "
                f"take {' or '.join(f'{n:,}' for n in (below, below + self.shards) if n)}"
            )
        if layout.device.type != "cpu":
            raise UserError(
                f"a sharded memory lives in the host memory of its machines, not on {layout.device}: "
                "expected device cpu; leave the core on the CPU"
            )
        try:
            replace(layout, word_size=0).check_fits()
        except ValueError:
            raise UserError(
                f"the order in which {layout.slots:,} slots are accessed is kept by the process that trains and does "
                "not fit into this machine: use fewer slots or rows"
            ) from None
        return replace(layout, slots=layout.slots // self.shards)
