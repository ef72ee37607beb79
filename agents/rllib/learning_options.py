"""What each algorithm takes beside what all of them take, and RLlib's names for it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol


class AlgorithmOptions(Protocol):
    """A frozen dataclass whose fields have defaults, documented under ``Attributes:``."""

    def training(self, learners: int) -> dict[str, Any]:
        """What the config's ``training(...)`` is given.

        Args:
            learners: processes that share each batch, at least 1.
        """
        ...


@dataclass(frozen=True)
class NoOptions:
    """Of an algorithm that takes what all of them take and no more."""

    def training(self, learners: int) -> dict[str, Any]:
        """Nothing."""
        return {}


@dataclass(frozen=True)
class PPOOptions:
    """What PPO takes.

    Attributes:
        minibatch_size: environment steps of one gradient step, of all learners together; at least 1.
        epochs: passes over a batch; at least 1.
        gae_lambda: lambda of generalised advantage estimation, from 0 to 1.
        clip: clip range of the policy ratio; more than 0.
        kl_target: KL divergence of an update beyond twice which a penalty holds the next ones back; more than 0.
            RLlib's 0.01 holds updates back that clipping lets pass.
        value_clip: largest squared error of the value loss that still learns, in squared units of the returns' spread,
            beyond which no value would learn; more than 0, or None for however large.

    Raises:
        ValueError: a number lies outside of its bounds.
    """

    minibatch_size: int = 256
    epochs: int = 8
    gae_lambda: float = 0.95
    clip: float = 0.2
    kl_target: float = 0.03
    value_clip: float | None = None

    def __post_init__(self):
        """Refuse numbers outside of their bounds."""
        _at_least_one(self, "minibatch_size", "epochs")
        _above_zero(self, "clip", "kl_target", "value_clip")
        if not 0 <= self.gae_lambda <= 1:
            raise ValueError(f"gae_lambda is {self.gae_lambda}: expected a number from 0 to 1")

    def training(self, learners: int) -> dict[str, Any]:
        """By RLlib's names, which has a minibatch in each learner."""
        return {
            "minibatch_size": self.minibatch_size // learners,
            "num_epochs": self.epochs,
            "lambda_": self.gae_lambda,
            "kl_target": self.kl_target,
            "vf_clip_param": math.inf if self.value_clip is None else self.value_clip,
            "clip_param": self.clip,
        }


@dataclass(frozen=True)
class IMPALAOptions:
    """What IMPALA takes: the bounds of V-trace, Espeholt et al. 2018, equation 1 and section 4.2.

    Attributes:
        rho_clip: bound of the importance weights in the value targets, the paper's rho bar; more than 0.
        pg_rho_clip: bound of the importance weights in the policy gradient; more than 0.

    Raises:
        ValueError: a number lies outside of its bounds.
    """

    rho_clip: float = 1.0
    pg_rho_clip: float = 1.0

    def __post_init__(self):
        """Refuse numbers outside of their bounds."""
        _above_zero(self, "rho_clip", "pg_rho_clip")

    def training(self, learners: int) -> dict[str, Any]:
        """By RLlib's names."""
        return {"vtrace_clip_rho_threshold": self.rho_clip, "vtrace_clip_pg_rho_threshold": self.pg_rho_clip}


@dataclass(frozen=True)
class APPOOptions:
    """What APPO takes.

    Attributes:
        clip: clip range of the policy ratio; more than 0.
        passes: times that each batch is learned from; at least 1.
        rho_clip: bound of the importance weights in the value targets of V-trace; more than 0.
        pg_rho_clip: bound of the importance weights in the policy gradient; more than 0.

    Raises:
        ValueError: a number lies outside of its bounds.
    """

    clip: float = 0.2
    passes: int = 2
    rho_clip: float = 1.0
    pg_rho_clip: float = 1.0

    def __post_init__(self):
        """Refuse numbers outside of their bounds."""
        _at_least_one(self, "passes")
        _above_zero(self, "clip", "rho_clip", "pg_rho_clip")

    def training(self, learners: int) -> dict[str, Any]:
        """By RLlib's names."""
        return {
            "clip_param": self.clip,
            "circular_buffer_iterations_per_batch": self.passes,
            "vtrace_clip_rho_threshold": self.rho_clip,
            "vtrace_clip_pg_rho_threshold": self.pg_rho_clip,
        }


def _at_least_one(options: Any, *names: str) -> None:
    for name in names:
        if getattr(options, name) < 1:
            raise ValueError(f"{name} is {getattr(options, name)}: expected at least 1")


def _above_zero(options: Any, *names: str) -> None:
    for name in names:
        value = getattr(options, name)
        if value is not None and not value > 0:
            raise ValueError(f"{name} is {value}: expected more than 0")
