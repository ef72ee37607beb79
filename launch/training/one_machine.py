"""How workers of one machine find each other: in a file, since torch's own way listens on every address it has."""

from __future__ import annotations

import os
import socket
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.train.torch import TorchConfig
from ray.train.torch.config import (  # Ray has no public call for another place to meet
    _set_torch_distributed_env_vars,
    _setup_torch_process_group,
    _TorchBackend,
)


@dataclass
class OnOneMachine(TorchConfig):
    """A process group whose workers are all on this machine; nothing of it listens beyond loopback."""

    @property
    def backend_cls(self) -> type[_TorchBackend]:
        """What sets it up."""
        return _MeetInFile


class _MeetInFile(_TorchBackend):
    def on_start(self, worker_group: Any, backend_config: TorchConfig) -> None:
        # Another file after a worker was lost; torch removes it when the last one leaves.
        file = Path(tempfile.gettempdir()) / f"lukasa-meeting-{uuid.uuid4().hex}"
        worker_group.execute(_set_torch_distributed_env_vars)
        group = {
            "backend": backend_config.backend,
            "world_size": len(worker_group),
            "init_method": f"file://{file}",
            "timeout_s": backend_config.timeout_s,
        }
        ranks = range(len(worker_group))
        ray.get([worker_group.execute_single_async(rank, _join, rank, group) for rank in ranks])


def _join(rank: int, group: dict[str, Any]) -> None:
    loopback = next((name for _, name in socket.if_nameindex() if name.startswith("lo")), None)
    if loopback:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback)
    _setup_torch_process_group(world_rank=rank, **group)


def are_on_one_machine() -> bool:
    """Whether the Ray in use has one machine."""
    return sum(machine["Alive"] for machine in ray.nodes()) == 1
