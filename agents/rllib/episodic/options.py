"""What episodic agents take beside what all agents take."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from lukasa.ground.options import check_value

STATE_ROUND, STATELESS_ROUND = 512, 64
"""Steps of a round with a core that carries a state, whose sequences are cut where rounds end, and with one that does
not."""


@dataclass(frozen=True)
class EpisodicOptions:
    """What all episodic agents take.

    Attributes:
        entries: most entries of the dictionary of each action.
        neighbours: entries that answer a query.
        epsilon: share of random actions in the beginning, from 0 to 1.
        epsilon_end: share of random actions at the end of the decline.
        epsilon_steps: environment steps of the decline, on a straight line.
        round: environment steps between two updates of the dictionary; by default 64, or 512 with a core that carries
            a state.
        index: what finds neighbours; auto, lists, faiss or exact.

    Raises:
        ValueError: a number lies outside of its bounds.
    """

    entries: int = 100_000
    neighbours: int = 50
    epsilon: float = 1.0
    epsilon_end: float = 0.01
    epsilon_steps: int = 5000
    round: int | None = None
    index: str = "auto"

    def __post_init__(self):
        """Refuse numbers outside of their bounds."""
        for name in ("entries", "neighbours", "epsilon_steps", *self._counts()):
            check_value(name, getattr(self, name), int)
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: expected at least 1")
        if self.round is not None and self.round < 1:
            raise ValueError(f"round is {self.round}: expected at least 1")
        for name in ("epsilon", "epsilon_end", *self._shares()):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}: expected a number from 0 to 1")
        for name in self._above_zero():
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} is {getattr(self, name)}: expected more than 0")

    def _counts(self) -> tuple[str, ...]:
        return ()

    def _shares(self) -> tuple[str, ...]:
        return ()

    def _above_zero(self) -> tuple[str, ...]:
        return ()

    def training(self, learners: int) -> dict[str, Any]:
        """For the config, which takes them by these names."""
        return {"episodic": asdict(self)}

    def epsilon_at(self, step: int) -> float:
        """The share of random actions after so many environment steps."""
        done = min(1.0, step / self.epsilon_steps)
        return self.epsilon + done * (self.epsilon_end - self.epsilon)

    def dictionary(self) -> dict[str, Any]:
        """What its dictionaries are made with."""
        return {"slots": self.entries, "neighbours": self.neighbours, "index": self.index}


@dataclass(frozen=True)
class NECOptions(EpisodicOptions):
    """What Neural Episodic Control takes: Pritzel et al. 2017.

    Attributes:
        entries: most entries of the dictionary of each action.
        neighbours: entries that answer a query, the paper's p.
        epsilon: share of random actions in the beginning, from 0 to 1.
        epsilon_end: share of random actions at the end of the decline.
        epsilon_steps: environment steps of the decline, on a straight line.
        round: environment steps between two updates of the dictionary; by default 64, or 512 with a core that carries
            a state.
        index: what finds neighbours; auto, lists, faiss or exact.
        n_steps: rewards of a return before it goes on with the dictionary's own estimate, the paper's N.
        delta: added to squared distances, whose inverse is the weight of a neighbour; more than 0.
        value_rate: step of a value towards a new return for the same key, from 0 to 1.
        key_rate: step of gradient descent on the keys of neighbours; 0 leaves them where they are.
        alike: distance up to which two keys are the same.
        replay: environment steps that are kept to learn from.
        replayed: steps that one gradient step learns from.
        train_every: environment steps for each gradient step.

    Raises:
        ValueError: a number lies outside of its bounds.
    """

    n_steps: int = 100
    delta: float = 1e-3
    value_rate: float = 0.1
    key_rate: float = 0.01
    alike: float = 1e-4
    replay: int = 100_000
    replayed: int = 32
    train_every: int = 16

    def _counts(self) -> tuple[str, ...]:
        return ("n_steps", "replay", "replayed", "train_every")

    def _shares(self) -> tuple[str, ...]:
        return ("value_rate", "key_rate")

    def _above_zero(self) -> tuple[str, ...]:
        return ("delta", "alike")

    def dictionary(self) -> dict[str, Any]:
        """What its dictionaries are made with."""
        return {**super().dictionary(), "delta": self.delta, "rate": self.value_rate, "tolerance": self.alike}


@dataclass(frozen=True)
class MBECOptions(EpisodicOptions):
    """What planning with remembered transitions takes.

    Attributes:
        entries: most transitions that are remembered of each action.
        neighbours: transitions that answer a query.
        epsilon: share of random actions in the beginning, from 0 to 1.
        epsilon_end: share of random actions at the end of the decline.
        epsilon_steps: environment steps of the decline, on a straight line.
        round: environment steps between two times of planning; by default 64.
        index: what finds neighbours; auto, lists, faiss or exact.
        delta: added to squared distances, whose inverse is the weight of a neighbour; more than 0.
        optimism: value of what is unknown, which the agent sets out to see where it is more than what it knows.
        alike: distance at which a state weighs as much as the unknown does; more than 0.
        sweeps: times that the values of transitions are backed up at each time of planning.
        backups: most transitions that are backed up then; a random choice where there are more.
        projection: whether observations are seen through a random projection; otherwise as they are, one long vector.

    Raises:
        ValueError: a number lies outside of its bounds.
    """

    entries: int = 20_000
    neighbours: int = 11
    epsilon: float = 0.1
    delta: float = 1e-3
    optimism: float = 1.0
    alike: float = 0.1
    sweeps: int = 10
    backups: int = 2000
    projection: bool = True

    def _counts(self) -> tuple[str, ...]:
        return ("sweeps", "backups")

    def _above_zero(self) -> tuple[str, ...]:
        return ("delta", "alike")

    def dictionary(self) -> dict[str, Any]:
        """What its dictionaries are made with."""
        more = {"rule": "every", "unknown": self.optimism, "unknown_distance": self.alike, "delta": self.delta}
        return {**super().dictionary(), **more}


@dataclass(frozen=True)
class MFECOptions(EpisodicOptions):
    """What model-free episodic control takes: Blundell et al. 2016.

    Attributes:
        entries: most entries of the dictionary of each action.
        neighbours: entries that answer a query, the paper's k.
        epsilon: share of random actions in the beginning, from 0 to 1.
        epsilon_end: share of random actions at the end of the decline.
        epsilon_steps: environment steps of the decline, on a straight line.
        round: environment steps between two updates of the dictionary; by default 64.
        index: what finds neighbours; auto, lists, faiss or exact.
        alike: distance up to which two observations are the same.
        projection: whether observations are seen through a random projection; otherwise as they are, one long vector.

    Raises:
        ValueError: a number lies outside of its bounds.
    """

    neighbours: int = 11
    alike: float = 1e-4
    projection: bool = True

    def _above_zero(self) -> tuple[str, ...]:
        return ("alike",)

    def dictionary(self) -> dict[str, Any]:
        """What its dictionaries are made with."""
        return {**super().dictionary(), "kernel": "mean", "rule": "largest", "tolerance": self.alike}
