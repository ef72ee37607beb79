"""``lukasa view`` of models that point: the answer step by step, and where each step looked.

Dimensions: L steps of the answer, N points.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from lukasa.agents.sequence import log_odds
from lukasa.ground.mistakes import UserError, as_user_error
from lukasa.launch.kinds.kind import Views
from lukasa.launch.kinds.pointers.drawings import Shown, set_as_image
from lukasa.launch.kinds.pointers.evaluation import load_model
from lukasa.launch.kinds.pointers.experiment import PointerExperiment
from lukasa.launch.kinds.pointers.job import task_of
from lukasa.launch.kinds.pointers.pictures import sets_to_show, show
from lukasa.launch.runs.directory import Run
from lukasa.launch.views.tracks import rows_track
from lukasa.launch.views.view import Film, Track, View
from lukasa.memory.pointers import Pointer

MOST_PICTURES = 60
"""Steps up to which the points are drawn after each."""


@dataclass(frozen=True)
class ViewOptions:
    """Write a page to step through an answer: the points, the attention of each step, and the gradient.

    Attributes:
        out: file of the page; plots/view.html of the run by default.
        checkpoint: which checkpoint answers: best, last, or a name.
        size: points of the set; the most of training by default.
        beams: answers kept at each step of the search; greedy with one.
        seed: seed of the set; the same as in lukasa plot.
        points: file of your own points to show instead, as of lukasa eval; its first set.
    """

    out: str | None = None
    checkpoint: str = "best"
    size: int | None = None
    beams: int = 1
    seed: int = 0
    points: str | None = None


def view_answer(run: Run, experiment: PointerExperiment, options: ViewOptions) -> View:
    """Let the model answer one set.

    Raises:
        UserError: there is no such checkpoint, or an option cannot be used.
    """
    for name, least, most in (("beams", 1, 10_000), ("seed", 0, 2**62)):
        if not least <= getattr(options, name) <= most:
            raise UserError(f"option --{name} is {getattr(options, name)}: expected {least} to {most:,}")
    task = task_of(experiment)
    model, checkpoint = load_model(run, experiment, options.checkpoint)
    with as_user_error():
        sets = sets_to_show(experiment, task, 1, size=options.size, seed=options.seed, points=options.points)
        (shown,) = show(model, task, sets, options.beams)
    steps = len(shown.answer)
    if not steps:
        raise UserError(f"run {run.path} gives no answer to this set, so that there is nothing to step through")
    points = [str(point) for point in range(len(shown.points))]
    pointed = np.eye(len(points))[list(shown.answer)]
    verdict = "right" if shown.exact else f"the target is {' '.join(map(str, shown.right))}"
    return View(
        title=f"{experiment.model} on {experiment.task_title}: {verdict}",
        subtitle=f"{len(points)} points · seed {options.seed} · {checkpoint.name} of {run.path.name}",
        steps=steps,
        tracks=[
            Track("attention of the step to each point", shown.attention, points, row="point"),
            Track("point that is chosen", pointed, points, colours="Oranges", row="point"),
            rows_track(
                "gradient of the choice's log odds with respect to each point's place",
                _gradients(model, shown),
                points,
                colours="Purples",
                row="point",
            ),
        ],
        films=_films(shown),
        texts={"answer so far": [" ".join(map(str, shown.answer[: step + 1])) for step in range(steps)]},
        holders="point",
        contents={name: f"x {x:.4g}, y {y:.4g}" for name, (x, y) in zip(points, shown.points, strict=True)},
    )


def _gradients(model: Pointer, shown: Shown) -> np.ndarray:
    """How much each choice depends on where each point is, [L, N], when those before it are as they are."""
    parameter = next(model.parameters())
    points = torch.as_tensor(shown.points).to(parameter)[None].requires_grad_()
    answer = torch.as_tensor(list(shown.answer), device=parameter.device)[None]
    scores = model.eval()(points, torch.tensor([points.shape[1]], device=parameter.device), answer)
    odds = log_odds(scores[0])
    rows = []
    for step in range(len(shown.answer)):
        (gradient,) = torch.autograd.grad(odds[step], points, retain_graph=True)
        rows.append(torch.nan_to_num(gradient[0].norm(dim=-1)))
    return torch.stack(rows).detach().cpu().numpy()


def _films(shown: Shown) -> list[Film]:
    """The points with the answer so far, where it is short."""
    steps = len(shown.answer)
    if steps > MOST_PICTURES:
        return []
    parts = (replace(shown, answer=list(shown.answer[: step + 1]), scores="") for step in range(steps))
    return [Film("points", np.stack([set_as_image(part) for part in parts]))]


VIEWS = Views(ViewOptions, view_answer)
"""What a page shows of models that point."""
