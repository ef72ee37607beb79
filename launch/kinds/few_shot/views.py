"""``lukasa view`` of a learner of episodes: one query after the other, beside the examples it learned from.

Dimensions: N classes, K support examples of each, M queries, T steps, H and W height and width of a picture.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from lukasa.agents.few_shot import SequenceLearner
from lukasa.agents.sequence import log_odds
from lukasa.launch.kinds.few_shot.drawings import Named, pictures
from lukasa.launch.kinds.few_shot.evaluation import TrainedLearner, load_learner
from lukasa.launch.kinds.few_shot.experiment import FewShotExperiment
from lukasa.launch.kinds.few_shot.pictures import one_episode
from lukasa.launch.kinds.kind import Views
from lukasa.launch.options.bounds import check_least
from lukasa.launch.runs.directory import Run
from lukasa.launch.views.core_tracks import core_view
from lukasa.launch.views.tracks import rows_track
from lukasa.launch.views.view import Film, View
from lukasa.launch.views.watching import core_inputs, watch
from lukasa.tasks import find_dataset

MOST_QUERIES = 200


@dataclass(frozen=True)
class ViewOptions:
    """Write a page to step through an episode: each query, the classes it may be of, and the examples it depends on.

    Attributes:
        out: file of the page; plots/view.html of the run by default.
        checkpoint: which learner answers: best, last, or a name.
        ways: classes of the episode; by default as many as the learner takes, or the data has, up to 20.
        shots: support examples of each class; by default as trained.
        part: part of the data; by default one that was not trained on.
        seed: seed of the episode; the same as in lukasa plot.
        steps: first queries to show; 200 at most.
    """

    out: str | None = None
    checkpoint: str = "best"
    ways: int | None = None
    shots: int | None = None
    part: str | None = None
    seed: int = 1_000_000
    steps: int | None = None


def view_episode(run: Run, experiment: FewShotExperiment, options: ViewOptions) -> View:
    """Let the learner name the queries of one episode.

    Raises:
        UserError: there is no such checkpoint, or an option cannot be used.
    """
    check_least(options, steps=1)
    trained = load_learner(run, experiment, options.checkpoint)
    support, queries, targets = one_episode(
        trained, ways=options.ways, shots=options.shots, part=options.part, seed=options.seed
    )
    # Queries of one class lie side by side: a part of them is drawn from all classes.
    order = torch.randperm(queries.shape[1], generator=torch.Generator().manual_seed(options.seed))
    chosen = order[: min(MOST_QUERIES, options.steps or MOST_QUERIES)].to(queries.device)
    queries, targets = queries[:, chosen], targets[:, chosen]
    scores, gradients = answers_and_gradients(trained, support, queries)
    return _view(trained, run, options, (support, queries, targets), scores, gradients)


def answers_and_gradients(trained: TrainedLearner, support: Tensor, queries: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """The probability of each class for each query, [M, N], and what the answer depends on, [M, N K].

    The latter is the norm of the gradient of the log odds of the answer with respect to each support example.
    """
    probabilities, gradients = [], []
    for query in queries[0]:
        leaf = support.detach().clone().requires_grad_()
        with torch.enable_grad():
            scores = trained.learner(leaf, query[None, None])[0, 0]
            odds = log_odds(scores)
            (found,) = torch.autograd.grad(odds, [leaf], allow_unused=True, materialize_grads=True)
        probabilities.append(scores.detach().softmax(-1))
        gradients.append(found[0].flatten(2).norm(dim=2).flatten())
    return tuple(torch.nan_to_num(torch.stack(one)).cpu().numpy() for one in (probabilities, gradients))  # type: ignore


def _view(
    trained: TrainedLearner,
    run: Run,
    options: ViewOptions,
    episode: tuple[Tensor, Tensor, Tensor],
    scores: np.ndarray,
    gradients: np.ndarray,
) -> View:
    """The queries one after the other; of a learner with a core after the examples that it reads."""
    support, queries, targets = (part[0].cpu().numpy() for part in episode)
    (ways, shots), answers = support.shape[:2], scores.argmax(1)
    named = Named(support, queries, targets, answers, find_dataset(trained.experiment.data).ink)
    shown, asked = pictures(named)
    classes = [f"class {number + 1}" for number in range(ways)]
    examples = [f"class {number + 1}, example {shot + 1}" for number in range(ways) for shot in range(shots)]
    of = "gradient of the answer's log odds with respect to each example"
    right = 100 * (answers == targets).mean()
    which = f"{ways} ways, {shots} shot{'s'[: shots > 1]} · seed {options.seed}"
    view = View(
        title=f"{trained.experiment.learner}: {right:.1f} % of {len(queries)} queries right",
        subtitle=f"{which} · {trained.checkpoint.name} of {run.path.name}",
        steps=len(queries),
        step="query",
        tracks=[
            rows_track("probability of each class", scores, classes, (0, 1), "Blues", "class"),
            rows_track("right class", np.eye(ways)[targets], classes, (0, 1), "Greens", "class"),
            rows_track(of, gradients, examples, None, "Purples"),
        ],
        films=[
            Film("query", asked),
            Film("an example of the class it was named", shown[answers, 0]),
            Film("an example of its class", shown[targets, 0]),
        ],
        texts={"answer": [_verdict(*one) for one in zip(answers, targets, strict=True)]},
    )
    if not isinstance(trained.learner, SequenceLearner):
        return view
    return _with_core(view, trained.learner, episode, shown)


def _verdict(answer: int, target: int) -> str:
    return f"named class {answer + 1}, " + ("right" if answer == target else f"wrong, it is class {target + 1}")


@torch.no_grad()
def _with_core(view: View, learner: SequenceLearner, episode: tuple[Tensor, Tensor, Tensor], shown: np.ndarray) -> View:
    """With the examples before the queries, and what the core does: it reads each query as the examples left it."""
    support, queries, _ = episode
    ways, shots = support.shape[1:3]
    known = ways * shots
    with core_inputs(learner.core) as inputs:
        learner(support, queries)
    lessons, questions = torch.cat(inputs[:known]), torch.cat(inputs[known:])
    seen = core_view(watch(learner.core, lessons, questions))
    # The label beside an example says its class; examples of one class come in an order of their own.
    read = lessons[:, -ways:].argmax(1).tolist()
    films = [replace(film, images=np.concatenate([shown[read, 0], film.images])) for film in view.films]
    answers = [f"reads an example of class {label + 1}" for label in read] + list(view.texts["answer"])
    before = [replace(track, values=np.pad(track.values, ((known, 0), (0, 0)))) for track in view.tracks]
    return replace(
        view,
        steps=view.steps + known,
        step="step",
        tracks=[*before, *seen.tracks],
        films=films,
        texts={"answer": answers},
        words=seen.words,
        links=seen.links,
        notes=[*seen.notes, f"the first {known} steps read the examples; each query is read as they left the memory"],
    )


VIEWS = Views(ViewOptions, view_episode)
"""What a page shows of a learner of episodes."""
