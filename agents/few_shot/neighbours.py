"""Nearest neighbours: the baselines that learn nothing from episodes, on pixels and on deep features.

Dimensions: B episodes, N classes, K support examples of each, M queries, D numbers of an embedding, T steps of a
sequence, E examples that may be neighbours, L labels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from lukasa.agents.few_shot.encoders import Encoder, EncoderName, IdentityEncoder, embed, make_encoder
from lukasa.agents.few_shot.learning import Learner
from lukasa.agents.few_shot.prototypical import squared_distances
from lukasa.agents.learning import Learned
from lukasa.tasks import Score
from lukasa.tasks.batch import Batch
from lukasa.tasks.examples import Examples
from lukasa.tasks.spec import Spec


class NearestNeighbour(Learner):
    """A query is of the class that most of its nearest neighbours in the support are of.

    Args:
        shape: of one example.
        ways: classes of an episode; any number does.
        encoder: "identity" compares pixels; the others are of use once ``train_classifier`` has trained them.
        channels: channels of each layer of the encoder.
        neighbours: number of nearest examples that vote.
    """

    learns_from_episodes = False

    def __init__(
        self,
        shape: Sequence[int],
        ways: int | None = None,
        *,
        encoder: EncoderName = "identity",
        channels: int = 64,
        neighbours: int = 1,
    ):
        super().__init__(shape)
        self.encoder = make_encoder(encoder, shape, channels)
        self.neighbours = neighbours

    @torch.no_grad()
    def forward(self, support: Tensor, queries: Tensor) -> Tensor:
        """The votes, as ``votes`` counts them: [B, N, K, *shape] and [B, M, *shape] -> [B, M, N]."""
        known, asked = embed(self.encoder, support, queries)
        ways, shots = known.shape[1:3]
        labels = torch.arange(ways, device=known.device).repeat_interleave(shots).expand(len(known), -1)
        return votes(squared_distances(asked, known.flatten(1, 2)), labels, ways, self.neighbours)


def votes(distances: Tensor, labels: Tensor, classes: int, neighbours: int) -> Tensor:
    """How many of the nearest examples have each label; of labels with equally many, the nearest is ahead.

    Args:
        distances: [B, M, E]; infinite where an example is none that may be chosen.
        labels: [B, E], int64, each below L.
        classes: how many labels there are, L.
        neighbours: how many vote, or as many as there are.

    Returns:
        [B, M, L], votes less a part below 1 that grows with the place of the label's nearest example.
    """
    near, order = distances.sort(dim=-1, stable=True)
    places = torch.arange(order.shape[-1], device=order.device)
    there = near.isfinite()
    ranked = labels[:, None].expand_as(order).gather(-1, order)
    count = near.new_zeros(*order.shape[:2], classes)
    count = count.scatter_add(-1, ranked, (there & (places < neighbours)).to(near))
    last = torch.full_like(count, len(places))
    first = last.scatter_reduce(-1, ranked, torch.where(there, places, len(places)).to(near), "amin")
    return count - first / (len(places) + 1)


@torch.no_grad()
def nearest_earlier(spec: Spec, batch: Batch, *, encoder: Encoder | None = None, neighbours: int = 1) -> Tensor:
    """Answer with the label of the nearest earlier example of the episode (table 2 of Santoro et al. 2016).

    Only labels that the inputs have shown by then are used; at the first step there is none, and the answer is 0.

    Args:
        spec: of ``lukasa.tasks.episodes.Presentations``.
        batch: its sequences.
        encoder: of the examples, in evaluation mode; their own numbers by default.
        neighbours: that vote.

    Returns:
        [B, T, V or S V], the label one-hot; for ``accuracy_by_presentation`` and ``spec.score``.
    """
    shown = batch.inputs[..., spec.columns("example")]
    encoder = encoder or IdentityEncoder(shown.shape[2:])
    points = encoder(shown.flatten(0, 1).unflatten(-1, encoder.shape)).unflatten(0, shown.shape[:2])  # [B, T, D]
    names = F.pad(batch.inputs[..., spec.columns("label")], (0, 0, 0, 1))[:, 1:]  # one step late, so back by one
    same = (names[:, :, None] == names[:, None]).all(-1)  # [B, T, T]
    labels = same.to(torch.uint8).argmax(-1)  # the step that first had the same label stands for it
    earlier = torch.ones_like(same[0]).tril(-1)
    distances = squared_distances(points, points).masked_fill(~earlier, torch.inf)
    chosen = votes(distances, labels, len(earlier), neighbours).argmax(-1)  # [B, T]
    answers = names.gather(1, chosen[..., None].expand_as(names))
    answers[:, 0] = 0
    return answers


def train_classifier(
    encoder: Encoder,
    examples: Examples,
    generator: Generator,
    *,
    batches: int,
    batch_size: int = 64,
    lr: float = 1e-3,
    observe: Callable[[Learned], None] | None = None,
) -> Learned:
    """Train an encoder as a plain classifier of all classes there are, with Adam; its features are what is left of it.

    A linear layer on top, which starts at zero and is thrown away, tells the classes apart. The encoder is left in
    evaluation mode.

    Args:
        encoder: that has something to train, on its device.
        examples: of the training classes.
        generator: decides, alone, which examples are drawn; a CPU generator.
        batches: how many.
        batch_size: examples in a batch.
        lr: learning rate.
        observe: called with the result of each batch.

    Returns:
        The result of the last batch.

    Raises:
        ValueError: the encoder has nothing to train, or there is no batch.
    """
    like = next(encoder.parameters(), None)
    if like is None or batches < 1 or batch_size < 1:
        raise ValueError(
            f"train_classifier: {type(encoder).__name__} with {batches} batches of {batch_size}: "
            "expected an encoder with parameters, such as 'conv4', and at least 1 batch of 1 example"
        )
    head = nn.Linear(encoder.size, examples.classes).to(like)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    optimizer = torch.optim.Adam([*encoder.parameters(), *head.parameters()], lr)
    encoder.train()
    result = Learned(math.nan, Score(0.0, 0))
    for _ in range(batches):
        classes = torch.randint(examples.classes, (batch_size,), generator=generator)
        instances = torch.randint(examples.instances, (batch_size,), generator=generator)
        shown, classes = examples.take(classes, instances, generator).to(like), classes.to(like.device)
        logits = head(encoder(shown))
        loss = F.cross_entropy(logits, classes)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        right = (logits.argmax(-1) == classes).double().mean()
        result = Learned(float(loss.detach()), Score(100 * float(right), 1))
        if observe is not None:
            observe(result)
    encoder.eval()
    return result
