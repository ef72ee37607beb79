"""Training that begins with the weights of another run: its memory of what it learned, and none of how."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from lukasa.ground.mistakes import UserError
from lukasa.launch.runs.checkpoints import PREFIX, Checkpoint, find_checkpoint, load_checkpoint
from lukasa.launch.runs.directory import open_run

Trained = Callable[[dict[str, Any]], Mapping[str, Any]]
"""Where the weights are in a checkpoint."""


def load_initial_weights(module: nn.Module, kind: str, trained: Trained, start_from: str) -> None:
    """Give a module the weights of a trained one, which may be of an earlier version that it knows how to read.

    Args:
        module: a core, a reader or a learner, of the same parameters.
        kind: of training, the word after ``lukasa train``.
        trained: where the weights are in a checkpoint.
        start_from: a run directory, for its best checkpoint, one of its checkpoints, or a model.

    Raises:
        UserError: there is no such run or checkpoint, it is cut short, or its parameters are others.
    """
    own, weights = module.state_dict(), _weights(kind, trained, start_from)
    _check_same(own, weights, [name for name in own if name in weights], start_from)
    # The module says which others it misses: weights of before it had them are not without them.
    missing, unexpected = module.load_state_dict(weights, strict=False)
    _check_same(own, weights, [*missing, *unexpected], start_from)


def initial_weights(own: Mapping[str, Any], kind: str, trained: Trained, start_from: str) -> Mapping[str, Any]:
    """The weights in a checkpoint.

    Args:
        own: those of the same names and shapes that they are for.
        kind: of training, the word after ``lukasa train``.
        trained: where the weights are in a checkpoint.
        start_from: a run directory, for its best checkpoint, one of its checkpoints, or a model.

    Raises:
        UserError: there is no such run or checkpoint, it is cut short, or its parameters are others.
    """
    weights = _weights(kind, trained, start_from)
    _check_same(own, weights, [*own, *weights], start_from)
    return weights


def _weights(kind: str, trained: Trained, start_from: str) -> Mapping[str, Any]:
    return trained(load_checkpoint(_find(Path(start_from), kind)))


def _check_same(own: Mapping[str, Any], weights: Mapping[str, Any], names: Iterable[str], start_from: str) -> None:
    for name in names:
        shapes = [list(np.shape(one[name])) if name in one else None for one in (own, weights)]
        if shapes[0] != shapes[1]:
            here, there = (f"of shape {shape}" if shape is not None else "not there" for shape in shapes)
            raise UserError(
                f"--start-from {start_from} does not fit: its parameter {name} is {there}, and here it is {here}; "
                "choose the same core and sizes and what they are trained on, or train without --start-from"
            )


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
