"""Reinforce for a memory agent in RLlib."""

from __future__ import annotations

import math
from typing import Any

from ray.rllib.algorithms.ppo import PPO, PPOConfig

from lukasa.agents.rllib.config import MemoryAlgorithm
from lukasa.agents.rllib.memory_config import CHUNK, MemoryConfig
from lukasa.agents.rllib.reinforce.learner import MemoryReinforceLearner
from lukasa.agents.rllib.reinforce.options import ReinforceOptions
from lukasa.agents.rllib.reinforce.sampling import WholeEpisodeRunner

REINFORCE_DEFAULTS = {
    "train_batch_size": 1024,
    "lr": 1e-3,
    "gamma": 0.99,
    "entropy_coeff": 0.0,
    "vf_loss_coeff": 0.25,
    "grad_clip": 0.5,
    **ReinforceOptions().training(learners=1),
}
"""What Reinforce learns with unless ``.training(...)`` says otherwise: the defaults of ``lukasa train rl``."""


class MemoryReinforceConfig(MemoryConfig, PPOConfig):
    """Reinforce for a memory agent: one step along the policy's gradient from each batch of whole episodes.

    ``MemoryReinforceConfig().environment(...).memory(core="lstm").build_algo()`` is all. It is RLlib's PPO without what
    makes it PPO: no second pass over a batch, no clipping, no penalty, and returns in place of estimated advantages.
    """

    Options = ReinforceOptions
    many_agents = False

    def __init__(self, algo_class: type | None = None):
        super().__init__(algo_class or MemoryReinforce)
        self.baseline, self.discount_steps = ReinforceOptions.baseline, ReinforceOptions.discount_steps
        self.env_runner_cls = WholeEpisodeRunner
        self.env_runners(num_envs_per_env_runner=8, batch_mode="complete_episodes")
        self.training(**REINFORCE_DEFAULTS)
        super().training(minibatch_size=None, num_epochs=1, use_kl_loss=False, vf_clip_param=math.inf)
        self.minibatch_size = None

    def training(self, *, baseline: str | None = None, discount_steps: bool | None = None, **kwargs: Any):
        """RLlib's settings, and those of Reinforce.

        Args:
            baseline: as in ``ReinforceOptions``.
            discount_steps: as in ``ReinforceOptions``.
            **kwargs: RLlib's.

        Returns:
            This config.
        """
        if baseline is not None:
            self.baseline = ReinforceOptions(baseline=baseline).baseline  # type: ignore[arg-type]
        if discount_steps is not None:
            self.discount_steps = discount_steps
        return super().training(**kwargs)

    def validate(self) -> None:
        """RLlib's checks and ours, once the config is complete.

        Raises:
            ValueError: the settings contradict each other, or what Reinforce is.
        """
        if self.batch_mode != "complete_episodes":
            raise ValueError(
                f"batch_mode is {self.batch_mode!r}: Reinforce learns from whole episodes, leave it at "
                "complete_episodes"
            )
        if self.minibatch_size is not None or self.num_epochs != 1:
            raise ValueError(
                f"minibatch_size is {self.minibatch_size} and num_epochs {self.num_epochs}: Reinforce takes one step "
                "from each batch, which its policy itself has sampled; leave them at None and 1"
            )
        super().validate()

    @property
    def _model_config_auto_includes(self) -> dict[str, Any]:
        return super()._model_config_auto_includes | {"max_seq_len": self.max_seq_len or CHUNK}

    def get_default_learner_class(self) -> type:
        """Reinforce's learner, with normalised observations and returns."""
        return MemoryReinforceLearner


class MemoryReinforce(MemoryAlgorithm, PPO):
    """PPO's loop, told which config is its own."""

    @classmethod
    def get_default_config(cls) -> MemoryReinforceConfig:
        """A config with the defaults."""
        return MemoryReinforceConfig()
