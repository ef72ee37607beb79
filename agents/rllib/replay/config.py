"""RLlib's DQN with a memory agent in it, which replays sequences."""

from __future__ import annotations

from typing import Any, cast

from ray.air.constants import TRAINING_ITERATION
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.algorithms.dqn import DQN, DQNConfig
from ray.rllib.connectors.common import AddStatesFromEpisodesToBatch, AddTimeDimToBatchAndZeroPad
from ray.rllib.connectors.connector_v2 import ConnectorV2
from ray.rllib.connectors.learner import AddColumnsFromEpisodesToTrainBatch, AddObservationsFromEpisodesToBatch
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.utils.metrics import ENV_RUNNER_RESULTS, NUM_ENV_STEPS_SAMPLED_LIFETIME
from ray.tune.registry import ENV_CREATOR, _global_registry

from lukasa import envs
from lukasa.agents.rllib.config import MemoryAlgorithm
from lukasa.agents.rllib.memory_config import MemoryConfig
from lukasa.agents.rllib.replay.buffer import ReplayPlan, SequenceReplayBuffer
from lukasa.agents.rllib.replay.columns import ReplayColumns
from lukasa.agents.rllib.replay.hindsight import STRATEGIES, Goals, HindsightReplayBuffer
from lukasa.agents.rllib.replay.learner import MemoryDQNLearner
from lukasa.agents.rllib.replay.options import DQNOptions
from lukasa.agents.rllib.replay.q_module import MemoryQModule

SEQUENCE = 40
"""Steps of a sequence that are learned unless ``max_seq_len`` says otherwise (Kapturowski et al. 2019)."""

REPLAY_SETTINGS = {
    "replay_capacity",
    "replay_sequences",
    "replay_ratio",
    "fragment",
    "burn_in",
    "replay_from_start",
    "priority_alpha",
    "priority_beta",
    "priority_max",
    "value_rescaling",
    "hindsight",
    "hindsight_goals",
}
"""What ``training`` takes beside RLlib's settings."""

REPLAY = "replay_buffer"
"""Key of an algorithm's state: what was sampled."""

_REPLAYS = 1 << 21
"""Part of the path of the stream that sequences are drawn with, where runners have theirs."""


class MemoryReplayConfig(MemoryConfig):
    """A memory agent's share of the config of an algorithm that replays sequences."""

    not_taken = ("entropy", "entropy_end", "value_weight", "normalize_returns")
    clip_norm = 10.0  # values whose gradients are cut at 0.5 do not follow their targets: CartPole falls back to 50
    many_agents = False

    def __init__(self, algo_class: type | None = None):
        super().__init__(algo_class=algo_class)
        self.memory_settings["normalize_returns"] = False
        defaults = DQNOptions()
        self.replay_capacity = defaults.replay_capacity
        self.replay_sequences = defaults.replay_sequences
        self.replay_ratio = defaults.replay_ratio
        self.fragment = defaults.fragment
        self.burn_in = 0
        self.replay_from_start = False
        self.priority_alpha = defaults.priority
        self.priority_beta = defaults.priority_correction
        self.priority_max = defaults.priority_max
        self.value_rescaling = False
        self.hindsight = "none"
        self.hindsight_goals = defaults.hindsight_goals

    def training(self, **kwargs: Any):
        """RLlib's settings, and those of the replay.

        Args:
            **kwargs: ``replay_capacity`` (steps kept), ``replay_sequences`` (in each update), ``replay_ratio`` (times
                that a step is learned from), ``fragment`` (steps of each environment between two rounds of updates),
                ``burn_in`` (steps), ``replay_from_start`` (rather than from stored states), ``priority_alpha``,
                ``priority_beta``, ``priority_max``, ``value_rescaling``, ``hindsight`` and ``hindsight_goals``, as
                ``DQNOptions`` describes them; all others are RLlib's.

        Returns:
            This config.
        """
        for name in REPLAY_SETTINGS & kwargs.keys():
            setattr(self, name, kwargs.pop(name))
        return super().training(**kwargs)

    def per_iteration(self, steps: int) -> None:
        """Sample so many environment steps in each iteration, in several rounds of sampling and learning."""
        self.reporting(min_sample_timesteps_per_iteration=steps)

    @property
    def sequence_length(self) -> int:
        """Steps of a sequence that are learned."""
        return self.max_seq_len or SEQUENCE

    @property
    def _model_config_auto_includes(self) -> dict[str, Any]:
        return super()._model_config_auto_includes | {"max_seq_len": self.sequence_length}

    def build_learner_connector(
        self, input_observation_space: Any, input_action_space: Any, device: Any = None
    ) -> ConnectorV2:
        """RLlib's pieces, with all columns made from the sequences that were drawn."""
        pipeline: Any = AlgorithmConfig.build_learner_connector(
            self, input_observation_space, input_action_space, device
        )
        pipeline.insert_before(AddObservationsFromEpisodesToBatch, ReplayColumns())
        made = (AddColumnsFromEpisodesToTrainBatch, AddTimeDimToBatchAndZeroPad, AddStatesFromEpisodesToBatch)
        for piece in made:
            pipeline.remove(piece)
        return pipeline

    def build_replay_buffer(self) -> SequenceReplayBuffer:
        """An empty buffer."""
        plan = ReplayPlan(
            length=self.sequence_length,
            burn_in=self.burn_in,
            from_start=self.replay_from_start,
            alpha=self.priority_alpha,
            beta=self.priority_beta,
        )
        seed = None if self.seed is None else envs.stream_seed(self.seed, self.sitting, _REPLAYS)
        if self.hindsight == "none":
            return SequenceReplayBuffer(self.replay_capacity, plan=plan, seed=seed)
        return HindsightReplayBuffer(
            self.replay_capacity,
            plan=plan,
            goals=Goals(made_environment(self)),
            strategy=self.hindsight,
            relabelled=self.hindsight_goals,
            seed=seed,
        )

    def check_environment(self, env: Any) -> None:
        """Refuse an environment without goals that hindsight could give others.

        Raises:
            ValueError: what is missing.
        """
        if self.hindsight != "none":
            Goals(env)


class MemoryDQNConfig(MemoryReplayConfig, DQNConfig):
    """DQN for a memory agent, which learns the values of actions from sequences that it replays (R2D2).

    ``MemoryDQNConfig().environment(...).memory(core="gru").training(burn_in=20).build_algo()`` is all.
    """

    Options = DQNOptions

    def __init__(self, algo_class: type | None = None):
        super().__init__(algo_class or MemoryDQN)
        self.env_runners(num_envs_per_env_runner=8)
        self.training(lr=1e-3, gamma=0.99, grad_clip=0.5, **DQNOptions().training(learners=1))

    def validate(self) -> None:
        """RLlib's checks and ours, once the config is complete.

        Raises:
            ValueError: the settings contradict each other, or ask for what is not there.
        """
        self.rollout_fragment_length = self.fragment
        self._set_intensity()
        if not isinstance(self.n_step, int):
            raise ValueError(f"n_step is {self.n_step}: expected one whole number, the same for all sequences")
        if self.num_atoms != 1 or self.noisy:
            raise ValueError("memory agents learn one value of each action: leave num_atoms at 1 and noisy at False")
        if self.hindsight not in STRATEGIES:
            raise ValueError(f"hindsight is {self.hindsight!r}: expected one of {', '.join(STRATEGIES)}")
        if self.burn_in_len:
            raise ValueError(
                f"burn_in_len is {self.burn_in_len}, which RLlib takes out of max_seq_len: set burn_in, which comes "
                "before it"
            )
        super().validate()

    def _set_intensity(self) -> None:
        """Have RLlib update as often as each step is to be learned from."""
        learners, runners = max(1, self.num_learners or 0), self.num_env_runners or 0
        self.train_batch_size_per_learner = max(1, self.replay_sequences // learners) * self.sequence_length
        # RLlib counts a runner more than there are
        self.training_intensity = self.replay_ratio * max(1, runners) / (runners + 1)

    def get_rollout_fragment_length(self, worker_index: int = 0) -> int:
        """Steps that each environment takes between two rounds of updates."""
        return self.fragment

    def get_default_rl_module_spec(self) -> RLModuleSpec:
        """A module of action values."""
        return RLModuleSpec(module_class=MemoryQModule)

    def get_default_learner_class(self) -> type:
        """DQN's learner, on sequences."""
        return MemoryDQNLearner

    @property
    def _model_config_auto_includes(self) -> dict[str, Any]:
        epsilon: Any = self.epsilon
        first = epsilon[0][1] if isinstance(epsilon, list | tuple) else epsilon
        return super()._model_config_auto_includes | {"dueling": self.dueling, "first_epsilon": first}


def made_environment(config: Any) -> Any:
    """One environment of a config, in this process."""
    if isinstance(config.env, str) and _global_registry.contains(ENV_CREATOR, config.env):
        return _global_registry.get(ENV_CREATOR, config.env)(dict(config.env_config))
    if isinstance(config.env, str):
        return envs.make(config.env, **config.env_config)
    return config.env(dict(config.env_config))


class MemoryDQN(MemoryAlgorithm, DQN):
    """DQN, told which config is its own, whose replay buffer holds sequences."""

    @classmethod
    def get_default_config(cls) -> MemoryDQNConfig:
        """A config with the defaults."""
        return MemoryDQNConfig()

    def training_step(self) -> None:
        """RLlib's; an algorithm that was restored without its replay first samples anew what it learns from."""
        config: Any = self.config
        if self._lacks_replay:
            sampled = self.metrics.peek((ENV_RUNNER_RESULTS, NUM_ENV_STEPS_SAMPLED_LIFETIME), default=0)
            later = config.copy(copy_frozen=False)
            later.num_steps_sampled_before_learning_starts += int(sampled)
            self.config, self._lacks_replay = later, False
        super().training_step()

    def get_state(self, components: Any = None, *, not_components: Any = None, **kwargs: Any) -> dict[str, Any]:
        """As RLlib's, and what was sampled where the config says that checkpoints hold it."""
        state = super().get_state(components, not_components=not_components, **kwargs)
        config, buffer = cast(Any, self.config), cast(Any, self.local_replay_buffer)
        if config.store_buffer_in_checkpoints and self._check_component(REPLAY, components, not_components):
            state[REPLAY] = buffer.get_state()
        return state

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from there; without what was sampled, once as much is sampled anew as before the first update."""
        super().set_state(state)
        buffer: Any = self.local_replay_buffer
        if REPLAY in state:
            buffer.set_state(state[REPLAY])
        elif TRAINING_ITERATION in state:  # it is a whole state, and not the weights of another run
            self._lacks_replay = True

    def _create_local_replay_buffer_if_necessary(self, config: Any) -> Any:
        found: Any = self.config
        self._lacks_replay = False
        return found.build_replay_buffer()
