"""How workers of one machine find each other: in a file, since torch's own way listens on every address it has."""

from __future__ import annotations

import os
import socket
import tempfile
import uuid
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import ray
import ray.train
import torch.distributed
from ray.train.torch import TorchConfig, get_device

_AsRayDoes: Any = TorchConfig().backend_cls
"""What sets a process group up, and ends it."""


@dataclass
class OnOneMachine(TorchConfig):
    """A process group whose workers are all on this machine; nothing of it listens beyond loopback."""

    @property
    def backend_cls(self) -> Any:
        """What sets it up."""
        return _MeetInFile


class _MeetInFile(_AsRayDoes):
    def on_start(self, worker_group: Any, backend_config: TorchConfig) -> None:
        # Another file after a worker was lost; torch removes it when the last one leaves.
        file = Path(tempfile.gettempdir()) / f"lukasa-meeting-{uuid.uuid4().hex}"
        group = {
            "backend": backend_config.backend,
            "init_method": f"file://{file}",
            "timeout": timedelta(seconds=backend_config.timeout_s),
        }
        ray.get([worker_group.execute_single_async(rank, _join, group) for rank in range(len(worker_group))])


def _join(group: dict[str, Any]) -> None:
    loopback = next((name for _, name in socket.if_nameindex() if name.startswith("lo")), None)
    if loopback:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback)
    os.environ.setdefault("TORCH_NCCL_ASYNC_ERROR_HANDLING", "1")  # a collective that takes too long ends its worker
    context = ray.train.get_context()
    rank, size = context.get_world_rank(), context.get_world_size()
    place = {  # what Ray says in each worker's environment
        "LOCAL_RANK": context.get_local_rank(),
        "LOCAL_WORLD_SIZE": context.get_local_world_size(),
        "NODE_RANK": context.get_node_rank(),
        "RANK": rank,
        "WORLD_SIZE": size,
        "ACCELERATE_TORCH_DEVICE": get_device(),
    }
    os.environ.update({name: str(value) for name, value in place.items()})
    torch.distributed.init_process_group(rank=rank, world_size=size, **group)


def are_on_one_machine() -> bool:
    """Whether the Ray in use has one machine."""
    return sum(machine["Alive"] for machine in ray.nodes()) == 1
