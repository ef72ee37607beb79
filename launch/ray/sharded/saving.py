"""A whole sharded memory in a folder: the state of every shard, the order of accesses, and a page that names both.

Each save makes a folder of its own beside the last, and counts once the page is replaced, so that what is loaded always
belongs together.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lukasa.ground.files import replacing, write_text
from lukasa.ground.mistakes import UserError
from lukasa.memory.sparse.layout import Layout

FORMAT = 1
PAGE = "memory.json"
ORDER = "order.pt"
STATES, DIGITS = "states-", 8
DTYPES = {str(dtype).removeprefix("torch."): dtype for dtype in (torch.float32, torch.float64)}


class Saved(NamedTuple):
    """What a folder holds."""

    state: Path  # the folder of the shards' states
    shards: int
    layout: Layout
    used: Tensor  # int64 [B]
    order: Tensor  # int64 [B, A], the slots ever accessed from least to most recently, -1 behind the end of a row


@contextmanager
def saving(
    folder: Path, shards: int, layout: Layout, used: Tensor, order: Tensor, needed: Path | None
) -> Iterator[Path]:
    """Give a new folder for the states of the shards; they count when the block ends, those before are removed.

    Args:
        folder: of the whole memory.
        shards: how many there are.
        layout: of the whole memory.
        used: int64 [B].
        order: int64 [B, A].
        needed: a folder of states that stays, since lost shards begin there.

    Raises:
        UserError: the folder cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        earlier = sorted(folder.glob(STATES + "[0-9]" * DIGITS))
        last = int(earlier[-1].name.removeprefix(STATES)) if earlier else 0
        state = folder / f"{STATES}{last + 1:0{DIGITS}d}"
        state.mkdir()
        with replacing(state / ORDER) as file:
            torch.save({"used": used, "order": order}, file)
        yield state
        described = asdict(layout) | {"dtype": str(layout.dtype).removeprefix("torch."), "device": "cpu"}
        page = {"format": FORMAT, "shards": shards, "state": state.name, "layout": described}
        write_text(folder / PAGE, json.dumps(page, indent=1) + "\n")
    except OSError as error:
        raise UserError(f"the memory cannot be saved to {folder}: {error}: make room there or choose another") from None
    for path in set(earlier) - {needed}:
        shutil.rmtree(path, ignore_errors=True)


def read_saved(folder: Path) -> Saved:
    """What a folder holds.

    Raises:
        UserError: it holds no memory, or not all of one.
    """
    try:
        page: dict[str, Any] = json.loads((folder / PAGE).read_text())
        state = folder / page["state"]
        tensors = torch.load(state / ORDER, weights_only=True)
        fields = page["layout"] | {"dtype": DTYPES[page["layout"]["dtype"]], "device": torch.device("cpu")}
        return Saved(state, page["shards"], Layout(**fields), tensors["used"], tensors["order"])
    except FileNotFoundError as error:
        raise UserError(f"{folder} holds no sharded memory: {error.filename} is not there") from None
    except (ValueError, KeyError, TypeError, RuntimeError, OSError) as error:
        raise UserError(f"the sharded memory in {folder} cannot be read ({error}): load it from another save") from None
