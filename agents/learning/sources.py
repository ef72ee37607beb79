"""What is learned from and who learns: the two halves of every kind of training by gradient steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, Protocol, Self, TypeVar

from torch import Generator, nn

from lukasa.tasks import Score


class Rows(Protocol):
    """A batch of one type of examples: sequences, episodes, questions."""

    def rows(self, start: int, stop: int) -> Self:
        """Some of the examples."""
        ...


BatchType = TypeVar("BatchType", bound=Rows, covariant=True)
Learnt = TypeVar("Learnt", bound=Rows, contravariant=True)


@dataclass(frozen=True)
class Learned:
    """What a learner made of a batch.

    Attributes:
        loss: mean of the examples, in the learner's unit.
        score: of the answers, before anything is learned from them.
    """

    loss: float
    score: Score


class Source(Protocol[BatchType]):
    """Draws batches of its own type.

    Which kind of batch comes next is chosen apart from its examples, so that the next batch can be drawn ahead and is
    dropped where, meanwhile, something else has become the turn.
    """

    def choose(self, generator: Generator) -> Any:
        """What the next batch is of, such as the settings of a lesson; None where it is always the same."""
        ...

    def sample(self, chosen: Any, rows: int, generator: Generator) -> BatchType:
        """Draw so many examples; everything random about a batch is decided here."""
        ...

    def report(self, learned: Learned) -> None:
        """Hear how the batch went, so that a curriculum may go on."""
        ...

    @property
    def level(self) -> int:
        """The lesson or level of now; 0 where there is none."""
        ...

    def ahead(self) -> Self:
        """A copy whose choices do not touch this one."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Everything that decides about the choices to come, beside the generator."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        ...


class Constant:
    """The half of a source whose batches are always of the same kind."""

    def choose(self, generator: Generator) -> None:
        """Nothing is to be chosen."""

    def report(self, learned: Learned) -> None:
        """Nothing depends on it."""

    @property
    def level(self) -> int:
        """There is one."""
        return 0

    def ahead(self) -> Self:
        """Itself: there are no choices."""
        return self

    def state_dict(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing is to be put back."""


class Learner(Protocol, Generic[Learnt]):
    """Who learns from batches of one type."""

    @property
    def module(self) -> nn.Module:
        """Whose parameters are trained."""
        ...

    @property
    def part(self) -> str:
        """What the module is called in a checkpoint, such as "core"."""
        ...

    def learn(self, batch: Learnt, /) -> Learned:
        """Add the gradient of the batch's mean objective to that of the parameters.

        Raises:
            memory.sparse.UnstorableError: a memory was to hold what is not finite.
        """
        ...
