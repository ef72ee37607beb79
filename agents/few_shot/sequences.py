"""Episodes as sequences: a memory core reads the support with its labels, then each query without.

With core "snail" this is SNAIL on few-shot classification (Mishra et al. 2018, section 5.1).

Dimensions: B episodes, N classes, K support examples of each, M queries, D numbers of an embedding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from lukasa import memory
from lukasa.agents.few_shot.encoders import EncoderName, embed, make_encoder
from lukasa.agents.few_shot.learning import Learner
from lukasa.memory.collecting import refuse_choices


class SequenceLearner(Learner):
    """Any core of ``memory`` reads the N K examples of the support, each beside its label, and is then asked.

    Every query is read from the memory as the support left it, beside a blank label, and no query sees another. The
    order of the support is drawn anew in training, from torch's global random state, and always the same in evaluation.

    Args:
        shape: of one example.
        ways: N; labels are one-hot, so every episode has as many classes.
        encoder: network that embeds each example.
        channels: channels of each layer of the encoder.
        embedding_size: width of the linear layer between encoder and core (D).
        core: name of the memory core that reads the episode.
        core_options: the core's own options. A "snail" should be given ``length``: N K is enough, and its state, of
            which there is one for each query, grows with it.

    Raises:
        UnknownNameError: the core or one of its options is unknown.
        ValueError: an option of the core or the shape cannot be used, or the core chooses at random.

    Example:
        >>> learner = SequenceLearner((20, 20), 5, channels=8, core="snail", core_options={"length": 5})
        >>> learner(torch.rand(2, 5, 1, 20, 20), torch.rand(2, 3, 20, 20)).shape
        torch.Size([2, 3, 5])
    """

    def __init__(
        self,
        shape: Sequence[int],
        ways: int,
        *,
        encoder: EncoderName = "conv4",
        channels: int = 64,
        embedding_size: int = 64,
        core: str = "snail",
        core_options: Mapping[str, Any] | None = None,
    ):
        super().__init__(shape)
        self.ways = ways
        self.encoder = make_encoder(encoder, shape, channels)
        self.embedding = nn.Linear(self.encoder.size, embedding_size)
        sizes = {"input_size": embedding_size + ways, "output_size": ways}
        self.core = memory.make_core(core, **sizes, **(core_options or {}))
        refuse_choices(self.core, "a learner of episodes")

    def forward(self, support: Tensor, queries: Tensor) -> Tensor:
        """The core's answers: [B, N, K, *shape] and [B, M, *shape] -> [B, M, N].

        Raises:
            ValueError: the episodes have another number of classes, or other examples.
        """
        known, asked = (self.embedding(part) for part in embed(self.encoder, support, queries))
        if known.shape[1] != self.ways:
            raise ValueError(
                f"the episodes have {known.shape[1]} classes and this learner labels {self.ways}: its labels are "
                f"one-hot, so make another with ways={known.shape[1]}"
            )
        _, state = memory.unroll(self.core, self._lessons(known))
        asked_each = asked.shape[1]
        questions = F.pad(asked, (0, self.ways)).flatten(0, 1).unsqueeze(1)  # [B M, 1, D + N]
        answers, _ = memory.unroll(self.core, questions, repeat_rows(self.core, state, asked_each))
        return answers.view(len(support), asked_each, self.ways)

    def _lessons(self, known: Tensor) -> Tensor:
        """The support in the order it is read, each example beside its label: [B, N, K, D] -> [B, N K, D + N]."""
        batch_size, ways, shots = known.shape[:3]
        labels = torch.eye(ways).to(known)[None, :, None].expand(batch_size, -1, shots, -1)
        examples = torch.cat([known, labels], -1).flatten(1, 2)
        if self.training:
            order = torch.rand(batch_size, ways * shots).argsort(1)
        else:
            order = torch.randperm(ways * shots, generator=Generator().manual_seed(0)).expand(batch_size, -1)
        return examples.gather(1, order.to(known.device)[..., None].expand_as(examples))


def repeat_rows(core: memory.Core, state: memory.State, times: int) -> memory.State:
    """A state in which each row comes several times, one after another; gradients flow back into the one it was.

    Args:
        core: the core that the state belongs to.
        state: with B rows; a sparse memory in it is copied.
        times: how often.
    """
    tensors = memory.state_to_dict(state)
    return memory.state_from_dict(core, {name: part.repeat_interleave(times, 0) for name, part in tensors.items()})
