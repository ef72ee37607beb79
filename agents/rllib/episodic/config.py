"""Neural Episodic Control and model-free episodic control as algorithms of RLlib."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ray
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.execution.rollout_ops import synchronous_parallel_sample
from ray.rllib.utils.metrics import (
    ENV_RUNNER_RESULTS,
    ENV_RUNNER_SAMPLING_TIMER,
    LEARNER_RESULTS,
    LEARNER_UPDATE_TIMER,
    NUM_ENV_STEPS_SAMPLED_LIFETIME,
    SYNCH_WORKER_WEIGHTS_TIMER,
    TIMERS,
)

from lukasa import memory
from lukasa.agents.policy.settings import MemorySettings
from lukasa.agents.rllib.config import MemoryAlgorithm
from lukasa.agents.rllib.episodic.learner import MBECLearner, MFECLearner, NECLearner
from lukasa.agents.rllib.episodic.module import EpisodicModule
from lukasa.agents.rllib.episodic.options import (
    STATE_ROUND,
    STATELESS_ROUND,
    EpisodicOptions,
    MBECOptions,
    MFECOptions,
    NECOptions,
)
from lukasa.agents.rllib.memory_config import MemoryConfig
from lukasa.memory.sparse.dictionary import Changes, Mark

BYTES_SENT = "dictionary_bytes_sent"
"""Metric of an iteration: what went to the runners of the dictionaries, once for all of them."""
ENTRIES = "dictionary_entries"
"""Metric: entries of all dictionaries together."""


class EpisodicConfig(MemoryConfig):
    """The share of all episodic algorithms in their configs.

    Attributes:
        episodic: what the algorithm takes, as ``.training(episodic={...})`` set it.
    """

    Options = EpisodicOptions
    not_taken = ("entropy", "entropy_end", "value_weight", "normalize_returns")

    def __init__(self, algo_class: type | None = None):
        super().__init__(algo_class=algo_class)
        self.memory_settings["normalize_returns"] = False
        self.episodic: Any = self.Options()
        self.lr, self.grad_clip, self.gamma = 1e-3, 0.5, 0.99
        self.train_batch_size = 1024
        self.env_runners(num_envs_per_env_runner=8)

    def training(
        self,
        *,
        episodic: dict[str, Any] | None = None,
        **kwargs: Any,
    ):
        """As RLlib's.

        Args:
            episodic: fields of ``Options``; its defaults for those that are not given.
            **kwargs: RLlib's own.

        Returns:
            This config.
        """
        super().training(**kwargs)
        if episodic is not None:
            self.episodic = self.Options(**episodic)
        return self

    def validate(self) -> None:
        """RLlib's checks and ours.

        Raises:
            ValueError: the settings contradict each other, or actions are not discrete.
        """
        super().validate()
        self.check_episodic()

    def check_episodic(self) -> None:
        """Refuse what no episodic agent can have; also where a module is made without an algorithm.

        Raises:
            ValueError: there are processes that learn, or several agents.
        """
        if self.is_multi_agent:
            raise ValueError("an episodic agent acts alone: choose another algorithm, such as ppo, for several agents")
        if self.num_learners:
            raise ValueError(
                f"num_learners is {self.num_learners}: the dictionaries of an episodic agent are in one process, which "
                "learns too; take 0"
            )

    def get_rollout_fragment_length(self, worker_index: int = 0) -> int:
        """Steps of a round, shared out."""
        copies = (self.num_envs_per_env_runner or 1) * max(1, self.num_env_runners or 0)
        return max(1, self.round_steps // copies)

    @property
    def embedding(self) -> str:
        """What makes keys: the core, a random projection, or nothing."""
        return "core"

    @property
    def round_steps(self) -> int:
        """Environment steps between two updates of the dictionary."""
        return self.episodic.round or (STATE_ROUND if self._carries() else STATELESS_ROUND)

    def _carries(self) -> bool:
        """Whether the core carries anything from one step to the next."""
        settings = MemorySettings(**self.memory_settings)
        return bool(memory.state_parts(settings.build_core(settings.embedding_size)))

    def get_default_rl_module_spec(self) -> RLModuleSpec:
        """The episodic module."""
        self.check_episodic()
        return RLModuleSpec(module_class=EpisodicModule)

    @property
    def _model_config_auto_includes(self) -> dict[str, Any]:
        included = super()._model_config_auto_includes
        if self.max_seq_len is None and not self._carries():
            included["max_seq_len"] = 1
        return included | {"episodic": self.episodic.dictionary(), "embedding": self.embedding}


class MemoryNECConfig(EpisodicConfig):
    """Neural Episodic Control (Pritzel et al. 2017): values are looked up in dictionaries whose keys are learned.

    ``MemoryNECConfig().environment(...).memory(core="feedforward").build_algo()`` is the paper's; any other core makes
    keys that remember.
    """

    Options = NECOptions

    def __init__(self, algo_class: type | None = None):
        super().__init__(algo_class or MemoryNEC)

    def get_default_learner_class(self) -> type:
        """NEC's learner."""
        return NECLearner


class MemoryMFECConfig(EpisodicConfig):
    """Model-free episodic control (Blundell et al. 2016): the best return that was ever seen, and no gradient."""

    Options = MFECOptions

    def __init__(self, algo_class: type | None = None):
        super().__init__(algo_class or MemoryMFEC)
        self.memory_settings["core"] = "feedforward"

    def get_default_learner_class(self) -> type:
        """A learner without an optimizer."""
        return MFECLearner

    @property
    def embedding(self) -> str:
        """A projection of the observation, or the observation itself."""
        options: Any = self.episodic
        return "projection" if options.projection else "identity"

    def check_episodic(self) -> None:
        """Refuse what the agent cannot have.

        Raises:
            ValueError: there are processes that learn, or the core carries a state.
        """
        super().check_episodic()
        if self._carries():
            raise ValueError(
                f"core {self.memory_settings['core']!r} carries a state, and this algorithm knows an observation "
                "by its own look: choose core feedforward, or algorithm nec"
            )


class MemoryMBECConfig(MemoryMFECConfig):
    """Planning with remembered transitions: value iteration over all that was seen, by its nearest neighbours."""

    Options = MBECOptions

    def __init__(self, algo_class: type | None = None):
        super().__init__(algo_class or MemoryMBEC)

    def get_default_learner_class(self) -> type:
        """A learner that plans."""
        return MBECLearner


class EpisodicAlgorithm(MemoryAlgorithm):
    """Rounds of acting and remembering, as many as a train batch has steps."""

    _sent: Mark | None = None

    def training_step(self) -> None:
        """Act for a round, take its returns in, learn, and tell the runners; until a train batch is through."""
        config: Any = self.config
        group: Any = self.env_runner_group
        learners: Any = self.learner_group
        done = sent = 0
        while done < config.total_train_batch_size:
            with self.metrics.log_time((TIMERS, ENV_RUNNER_SAMPLING_TIMER)):
                sampled: Any = synchronous_parallel_sample(
                    worker_set=group,
                    max_env_steps=min(config.round_steps, config.total_train_batch_size - done),
                    sample_timeout_s=config.sample_timeout_s,
                    _uses_new_env_runners=True,
                    _return_metrics=True,
                )
                episodes, results = sampled
                if not episodes:
                    return
                self.metrics.aggregate(results, key=ENV_RUNNER_RESULTS)
            done += sum(map(len, episodes))
            with self.metrics.log_time((TIMERS, LEARNER_UPDATE_TIMER)):
                lifetime = self.metrics.peek((ENV_RUNNER_RESULTS, NUM_ENV_STEPS_SAMPLED_LIFETIME))
                learned = learners.update(episodes=episodes, timesteps={NUM_ENV_STEPS_SAMPLED_LIFETIME: lifetime})
                self.metrics.aggregate(learned, key=LEARNER_RESULTS)
            with self.metrics.log_time((TIMERS, SYNCH_WORKER_WEIGHTS_TIMER)):
                group.sync_weights(from_worker_or_learner_group=learners, inference_only=True)
                sent += self.sync_dictionaries()
        head: Any = self.agent.policy_head
        of_iteration = {
            BYTES_SENT: sent,
            ENTRIES: int(self.agent.dictionary.used.sum()),
            "epsilon": float(head.epsilon),
        }
        for name, value in of_iteration.items():
            self.metrics.log_value((LEARNER_RESULTS, DEFAULT_MODULE_ID, name), value, window=1)

    @property
    def agent(self) -> EpisodicModule:
        """The agent that learns."""
        learners: Any = self.learner_group
        return learners._learner.module[DEFAULT_MODULE_ID].unwrapped()

    def sync_dictionaries(self) -> int:
        """Bring the dictionaries of all runners up to date: what changed, or all to those that are new. Bytes sent."""
        group: Any = self.env_runner_group
        changes = self.agent.dictionary.changes(self._sent)
        brought = _spread(group, changes)
        sent = changes.nbytes
        if changes.since is not None and not all(brought):
            whole = self.agent.dictionary.changes()
            _spread(group, whole)
            sent += whole.nbytes
        self._sent = changes.mark
        return sent

    def files(self) -> dict[str, Callable[[Path], None]]:
        """What is saved beside the state, and what writes it."""
        return self.agent.files()

    def restore_files(self, paths: Mapping[str, Path]) -> None:
        """Go on with what ``files`` wrote, in all runners as well."""
        self.agent.restore_files(paths)
        self._sent = None
        self.sync_dictionaries()

    def set_state(self, state: Any) -> None:
        """As RLlib's; the runners get all entries at the next round."""
        super().set_state(state)
        self._sent = None

    def restore_from_path(self, *args: Any, **kwargs: Any) -> None:
        """As RLlib's; the runners get all entries."""
        super().restore_from_path(*args, **kwargs)
        self._sent = None
        self.sync_dictionaries()


def _spread(group: Any, changes: Changes) -> list[bool]:
    """Have every runner take changes; whether each could."""
    remote = ray.put(changes) if group.num_remote_workers() else changes
    brought = []
    if group.num_remote_workers():
        brought += group.foreach_env_runner(functools.partial(_bring, changes=remote), local_env_runner=False)
    if group.local_env_runner is not None and group.local_env_runner.module is not None:
        brought.append(_bring(group.local_env_runner, changes))
    return brought


def _bring(runner: Any, changes: Any) -> bool:
    """Have a runner take changes; False where they follow another state than its own, which is left as it is."""
    found: Changes = ray.get(changes) if isinstance(changes, ray.ObjectRef) else changes
    dictionary = runner.module.dictionary
    if found.since is not None and found.since != dictionary.mark:
        return False
    dictionary.apply_changes(found)
    return True


class MemoryNEC(EpisodicAlgorithm):
    """Neural Episodic Control, told which config is its own."""

    @classmethod
    def get_default_config(cls) -> MemoryNECConfig:
        """A config with the defaults."""
        return MemoryNECConfig()


class MemoryMFEC(EpisodicAlgorithm):
    """Model-free episodic control, told which config is its own."""

    @classmethod
    def get_default_config(cls) -> MemoryMFECConfig:
        """A config with the defaults."""
        return MemoryMFECConfig()


class MemoryMBEC(EpisodicAlgorithm):
    """Planning with remembered transitions, told which config is its own."""

    @classmethod
    def get_default_config(cls) -> MemoryMBECConfig:
        """A config with the defaults."""
        return MemoryMBECConfig()
