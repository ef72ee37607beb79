"""RLlib's PPO, APPO and IMPALA with a memory agent in them."""

from __future__ import annotations

from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.algorithms.appo import APPO, APPOConfig
from ray.rllib.algorithms.impala import IMPALA, IMPALAConfig
from ray.rllib.algorithms.ppo import PPO, PPOConfig
from ray.rllib.env.env_runner_group import EnvRunnerGroup

from lukasa.agents.rllib.learners import MemoryAPPOLearner, MemoryIMPALALearner, MemoryPPOLearner
from lukasa.agents.rllib.learning_options import APPOOptions, IMPALAOptions, PPOOptions
from lukasa.agents.rllib.memory_config import MemoryConfig
from lukasa.agents.rllib.runner import raise_failures

PPO_DEFAULTS = {
    "train_batch_size": 1024,
    "lr": 1e-3,
    "gamma": 0.99,
    "entropy_coeff": 0.0,
    "vf_loss_coeff": 0.25,  # of the whole square; others write 0.5, of half of it
    "grad_clip": 0.5,
    **PPOOptions().training(learners=1),
}
"""What PPO learns with unless ``.training(...)`` says otherwise: the defaults of ``lukasa train rl``."""


class MemoryPPOConfig(MemoryConfig, PPOConfig):
    """PPO for a memory agent, which learns from each batch once all of it is sampled.

    ``MemoryPPOConfig().environment(...).memory(core="dnc", slots=64).build_algo()`` is all.

    It starts from ``PPO_DEFAULTS`` and 8 environments a runner rather than from RLlib's own numbers.
    """

    Options = PPOOptions

    def __init__(self, algo_class: type | None = None):
        super().__init__(algo_class or MemoryPPO)
        self.env_runners(num_envs_per_env_runner=8)
        self.training(**PPO_DEFAULTS)

    def get_default_learner_class(self) -> type:
        """PPO's learner, with normalised observations and returns."""
        return MemoryPPOLearner


class MemoryAPPOConfig(MemoryConfig, APPOConfig):
    """APPO for a memory agent: PPO with runners that sample while it learns, corrected by V-trace."""

    Options = APPOOptions
    asynchronous = True

    def __init__(self, algo_class: type | None = None):
        super().__init__(algo_class or MemoryAPPO)

    def get_default_learner_class(self) -> type:
        """APPO's learner, with normalised observations and returns."""
        return MemoryAPPOLearner


class MemoryIMPALAConfig(MemoryConfig, IMPALAConfig):
    """IMPALA for a memory agent: an actor-critic with runners that sample while it learns, corrected by V-trace."""

    Options = IMPALAOptions
    asynchronous = True

    def __init__(self, algo_class: type | None = None):
        super().__init__(algo_class or MemoryIMPALA)

    def get_default_learner_class(self) -> type:
        """IMPALA's learner, with normalised observations and returns."""
        return MemoryIMPALALearner


class MemoryAlgorithm(Algorithm):
    """What the algorithms below share."""

    def restore_env_runners(self, env_runner_group: EnvRunnerGroup) -> list[int]:
        """Bring lost runners back, before each step of training.

        Raises:
            envs.EnvironmentFailedError: the environment of one failed too often.
            RunnerFailedError: one failed in another way.
        """
        raise_failures(env_runner_group)
        return super().restore_env_runners(env_runner_group)


class MemoryPPO(MemoryAlgorithm, PPO):
    """PPO, told which config is its own: what Tune needs to turn a dict of parameters back into one."""

    @classmethod
    def get_default_config(cls) -> MemoryPPOConfig:
        """A config with the defaults."""
        return MemoryPPOConfig()


class MemoryAPPO(MemoryAlgorithm, APPO):
    """APPO, told which config is its own."""

    @classmethod
    def get_default_config(cls) -> MemoryAPPOConfig:
        """A config with the defaults."""
        return MemoryAPPOConfig()


class MemoryIMPALA(MemoryAlgorithm, IMPALA):
    """IMPALA, told which config is its own."""

    @classmethod
    def get_default_config(cls) -> MemoryIMPALAConfig:
        """A config with the defaults."""
        return MemoryIMPALAConfig()
