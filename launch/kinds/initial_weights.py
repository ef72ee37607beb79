"""Training that begins with the weights of another run: its memory of what it learned, and none of how."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from lukasa.ground.mistakes import UserError
from lukasa.launch.runs.checkpoints import PREFIX, Checkpoint, find_checkpoint, load_checkpoint, to_plain
from lukasa.launch.runs.directory import open_run


def load_initial_weights(module: nn.Module, kind: str, part: str, start_from: str) -> None:
    """Give a module the weights of a trained one.

    Args:
        module: a core or a learner, of the same parameters.
        kind: of training, the word after ``lukasa train``.
        part: the module's key in the trainer's state.
        start_from: a run directory, for its best checkpoint, one of its checkpoints, or a model.

    Raises:
        UserError: there is no such run or checkpoint, it is cut short, or its parameters are others.
    """
    weights = initial_weights(module.state_dict(), kind, lambda state: to_plain(state)["trainer"][part], start_from)
    module.load_state_dict(weights)


def initial_weights(
    own: Mapping[str, Any], kind: str, trained: Callable[[dict[str, Any]], Mapping[str, Any]], start_from: str
) -> Mapping[str, Any]:
    """The weights in a checkpoint.

    Args:
        own: those of the same names and shapes that they are for.
        kind: of training, the word after ``lukasa train``.
        trained: where the weights are in a checkpoint.
        start_from: a run directory, for its best checkpoint, one of its checkpoints, or a model.

    Raises:
        UserError: there is no such run or checkpoint, it is cut short, or its parameters are others.
    """
    weights = trained(load_checkpoint(_find(Path(start_from), kind)))
    for name in [*own, *weights]:
        shapes = [list(np.shape(one[name])) if name in one else None for one in (own, weights)]
        if shapes[0] != shapes[1]:
            here, there = (f"of shape {shape}" if shape is not None else "not there" for shape in shapes)
            raise UserError(
                f"--start-from {start_from} does not fit: its parameter {name} is {there}, and here it is {here}; "
                "choose the same core and sizes and what they are trained on, or train without --start-from"
            )
    return weights


def _find(path: Path, kind: str) -> Checkpoint:
    which = "best"
    if path.name.startswith(PREFIX):
        path, which = path.parent.parent, path.name
    run, config = open_run(path)
    if config.get("kind") != kind:
        raise UserError(
            f"--start-from {path} was written by `lukasa train {config.get('kind')}`: give a run of `train {kind}`"
        )
    return find_checkpoint(run.checkpoints, which)
