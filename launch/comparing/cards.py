"""The card of a model: what was trained, how, how good it is, and how much seeds differ."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from lukasa.ground.mistakes import UserError
from lukasa.launch.comparing.several_seeds import Compared
from lukasa.launch.kinds.kind import Evaluation
from lukasa.launch.kinds.spelling import words_for
from lukasa.launch.options.program import quoted
from lukasa.launch.runs.directory import Run, read_metrics

Evaluated = dict[str, Any]
"""A figure, as ``lukasa.launch.kinds.figures.figure`` makes it."""


def make_card(
    compared: Compared, place: int, config: dict[str, Any], step: int, figures: Sequence[Evaluated] | None
) -> dict[str, Any]:
    """What a model's file says about it, in values of JSON.

    Args:
        compared: the run, or the runs of all seeds.
        place: of the seed that is exported.
        config: of that seed's run.
        step: of its checkpoint.
        figures: of every seed; None where they were not measured.
    """
    run, experiment = compared.runs[place]
    kind, recipe = compared.kind, config.get("recipe")
    first = dataclasses.replace(experiment, seed=compared.seeds[0])
    words = words_for(kind.experiments, recipe, first)
    if len(compared.seeds) > 1:
        words += ["--seeds", _listed(compared.seeds)]
    rows = read_metrics(run)
    card: dict[str, Any] = {
        "about": experiment.about,
        "kind": kind.name,
        "recipe": recipe,
        "command": " ".join(["lukasa", *map(quoted, words)]),
        "steps": step,
        "counted": kind.experiments.counted,
        "seconds": rows[-1]["seconds"] if rows else None,
        "seed": experiment.seed,
        "seeds": list(compared.seeds),
        "versions": config.get("versions", {}),
        "commit": config.get("commit"),
        "created": config.get("created"),
    }
    if figures is not None:
        spread = [one["value"] for one in figures]
        card |= {"figure": figures[place], "spread": spread}
    return card


def _listed(seeds: Sequence[int]) -> str:
    """Seeds as ``--seeds`` takes them."""
    return str(len(seeds)) if list(seeds) == list(range(len(seeds))) else ",".join(map(str, seeds))


def measure(way: Evaluation[Any], run: Run, experiment: Any, checkpoint: str, *, ablation: bool) -> Evaluated:
    """The figure of a run, as ``lukasa eval`` finds it.

    Args:
        way: how runs of its kind are evaluated.
        run: its directory.
        experiment: what was trained.
        checkpoint: best, last, or a name.
        ablation: also with its memory wiped, where it has one.

    Raises:
        UserError: the kind has no one figure, or evaluating fails.
    """
    if way.figure is None:
        raise UserError(f"runs like {run.path} are not summed up by one figure: leave --evaluate out")
    options = way.options(checkpoint=checkpoint)
    if ablation and hasattr(options, "ablation"):
        try:
            wiping = dataclasses.replace(options, ablation=True)
            return way.figure(way.evaluate(run, experiment, wiping))
        except UserError:  # it has no part that could be wiped, or what failed fails again
            pass
    return way.figure(way.evaluate(run, experiment, options))
