"""The memory agent's share of an RLlib config."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.connectors.common import AddStatesFromEpisodesToBatch, AddTimeDimToBatchAndZeroPad
from ray.rllib.connectors.connector_pipeline_v2 import ConnectorPipelineV2
from ray.rllib.connectors.connector_v2 import ConnectorV2
from ray.rllib.connectors.module_to_env import ListifyDataForVectorEnv, NormalizeAndClipActions
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.tune.search.sample import Domain

from lukasa import memory
from lukasa.agents.policy.actions import is_plain
from lukasa.agents.policy.settings import MemorySettings, core_path
from lukasa.agents.rllib.actions import DecodeActions
from lukasa.agents.rllib.chunking import ChunkColumns
from lukasa.agents.rllib.connectors import AddPreviousStep, FeedStateIn, RebuildStateIn, StashStateOut
from lukasa.agents.rllib.learning_options import AlgorithmOptions, NoOptions
from lukasa.agents.rllib.module import MemoryRLModule
from lukasa.agents.rllib.runner import MemoryEnvRunner
from lukasa.agents.rllib.sharding import WholeFragmentLearnerGroup

CHUNK = 64
"""Steps: gradients flow through about this many unless ``max_seq_len`` says otherwise."""


class MemoryConfig(AlgorithmConfig):
    """The memory agent's share of a config: put before RLlib's config of an algorithm, it makes one for memory agents.

    Attributes:
        Options: dataclass of what the algorithm takes beside what all take.
        asynchronous: whether runners sample while it learns.
        not_taken: what ``lukasa train rl`` asks of every algorithm and this one has no use for.
    """

    Options: ClassVar[type[AlgorithmOptions]] = NoOptions
    asynchronous: ClassVar[bool] = False
    not_taken: ClassVar[tuple[str, ...]] = ()

    def __init__(self, algo_class: type | None = None):
        super().__init__(algo_class=algo_class)
        settings = MemorySettings(normalize_observations=True, normalize_returns=True, orthogonal=True)
        self.memory_settings: dict[str, Any] = settings.to_dict()
        self.max_seq_len: int | None = None
        self.sitting = 0  # in which the episodes of an earlier one shall not be played again
        self.env_runner_cls = MemoryEnvRunner

    def memory(
        self,
        core: str | type[memory.Core] = "gru",
        *,
        embedding_size: int = 64,
        output_size: int = 64,
        previous_action: bool = False,
        previous_reward: bool = False,
        normalize_observations: bool = True,
        normalize_returns: bool = True,
        orthogonal: bool = True,
        max_seq_len: int | None = None,
        core_options: Mapping[str, Any] | None = None,
        **more_core_options: Any,
    ):
        """Choose the memory; each call starts anew from the defaults.

        Args:
            core: a key of ``memory.CORES``, or a core of your own: its class or ``"package.module:Class"``.
            embedding_size: width of what the encoder makes of one observation.
            output_size: width of what the core hands to the policy and value heads.
            previous_action: whether the core also sees the action before this observation.
            previous_reward: whether the core also sees the reward that came with this observation.
            normalize_observations: whether the real numbers of an observation, and the previous reward, are centred
                and scaled by the moments of all that was seen so far. Those that are bounded by 0 and 1 or by -1 and 1
                are left as they are, and so are images.
            normalize_returns: whether losses see returns in units of their spread, so that the scale of the rewards
                does not matter; ``vf_clip_param`` is in these units then.
            orthogonal: whether the first weights are orthogonal matrices, which hand on what is observed as large as
                it came, rather than PyTorch's own.
            max_seq_len: steps of a chunk, the unit of back-propagation through time; by default the fragments that
                the runners sample are cut into equal chunks of about 64 steps.
            core_options: the core's own options (``memory.core_options(core)`` lists them), also those that have the
                name of an argument here, as ``core`` of the core "act" has.
            **more_core_options: the core's own options by keyword.

        Returns:
            This config.

        Raises:
            UnknownNameError: the core or an option is unknown; the message gives the nearest known one.
            ValueError: a value cannot be used.
        """
        self.memory_settings = {
            "core": core_path(core) if isinstance(core, type) else core,
            "core_options": {**(core_options or {}), **more_core_options},
            "embedding_size": embedding_size,
            "output_size": output_size,
            "previous_action": previous_action,
            "previous_reward": previous_reward,
            "normalize_observations": normalize_observations,
            "normalize_returns": normalize_returns,
            "orthogonal": orthogonal,
        }
        self.max_seq_len = max_seq_len
        if not _is_searched(self.memory_settings):
            self._check_memory()
        return self

    def per_iteration(self, steps: int) -> None:
        """Sample so many environment steps in each iteration, and learn from them."""
        self.training(train_batch_size_per_learner=steps // max(1, self.num_learners))

    def validate(self) -> None:
        """RLlib's checks and ours, once the config is complete.

        Raises:
            ValueError: the settings contradict each other.
        """
        super().validate()
        self._check_memory()
        if self.is_multi_agent:
            raise ValueError("memory agents act alone: multi-agent environments are not supported yet")
        chunk, minibatch = self.model_config["max_seq_len"], self.minibatch_size
        if isinstance(minibatch, int) and minibatch < chunk:
            raise ValueError(
                f"minibatch_size is {minibatch} steps and max_seq_len {chunk}, so that no row fits into a minibatch: "
                f"set .training(minibatch_size={chunk}) or more, or a shorter .memory(max_seq_len=...)"
            )
        if self._looks_back() and not self.episode_lookback_horizon:
            raise ValueError(
                "previous_action and previous_reward look back one step: "
                "set .env_runners(episode_lookback_horizon=1) or more"
            )

    def get_default_rl_module_spec(self) -> RLModuleSpec:
        """The memory module, whatever the algorithm's own is."""
        return RLModuleSpec(module_class=MemoryRLModule)

    @property
    def _model_config_auto_includes(self) -> dict[str, Any]:
        chunk = self.max_seq_len or default_max_seq_len(self.get_rollout_fragment_length())
        return super()._model_config_auto_includes | self.memory_settings | {"max_seq_len": chunk}

    def build_env_to_module_connector(self, env: Any = None, spaces: Any = None, device: Any = None) -> ConnectorV2:
        """RLlib's pieces, with the state fed from where it lives rather than from the episodes."""
        pipeline = _pipeline(super().build_env_to_module_connector(env, spaces, device))
        if self._looks_back():
            pipeline.insert_before(AddTimeDimToBatchAndZeroPad, AddPreviousStep())
        pipeline.remove(AddStatesFromEpisodesToBatch)
        pipeline.append(FeedStateIn())
        return pipeline

    def build_module_to_env_connector(self, env: Any = None, spaces: Any = None) -> ConnectorV2:
        """RLlib's pieces, after the state has been taken out of the batch."""
        pipeline = _pipeline(super().build_module_to_env_connector(env, spaces))
        pipeline.prepend(StashStateOut())
        _decode_actions(pipeline, normalize=bool(self.normalize_actions))
        return pipeline

    def build_learner_connector(
        self, input_observation_space: Any, input_action_space: Any, device: Any = None
    ) -> ConnectorV2:
        """RLlib's pieces, with the state rebuilt from keyframes rather than picked from one a step."""
        pipeline = _pipeline(super().build_learner_connector(input_observation_space, input_action_space, device))
        if self._looks_back():
            pipeline.insert_before(AddTimeDimToBatchAndZeroPad, AddPreviousStep(as_learner_connector=True))
        pipeline.insert_before(AddStatesFromEpisodesToBatch, RebuildStateIn())
        if any(type(piece) is AddTimeDimToBatchAndZeroPad for piece in pipeline.connectors):
            pipeline.insert_before(AddTimeDimToBatchAndZeroPad, ChunkColumns())
            pipeline.remove(AddTimeDimToBatchAndZeroPad)
        return pipeline

    def build_learner_group(
        self, *, env: Any = None, spaces: Any = None, rl_module_spec: Any = None, placement_group: Any = None
    ) -> WholeFragmentLearnerGroup:
        """Learners that never cut a fragment in two."""
        spec = rl_module_spec or self.get_multi_rl_module_spec(env=env, spaces=spaces)
        return WholeFragmentLearnerGroup(config=self.copy(), module_spec=spec, placement_group=placement_group)

    def _looks_back(self) -> bool:
        """Whether the core also sees something of the step before."""
        return bool(self.memory_settings["previous_action"] or self.memory_settings["previous_reward"])

    def _check_memory(self) -> None:
        MemorySettings(**self.memory_settings).refuse_choices()
        length = self.max_seq_len
        if length is not None and (isinstance(length, bool) or not isinstance(length, int) or length < 1):
            raise ValueError(f"max_seq_len is {length!r}: expected a whole number of at least 1, or None")


def default_max_seq_len(fragment: int) -> int:
    """Cut a fragment into equal chunks of at most ``CHUNK`` steps.

    One step is added because RLlib appends one to every fragment, for its bootstrap value; chunks that are an exact
    fraction of the fragment would put that step into a row of its own, nearly all padding.

    Args:
        fragment: steps that a runner samples from one environment before it returns them.
    """
    return fragment // math.ceil(fragment / CHUNK) + 1


def _pipeline(connector: ConnectorV2) -> ConnectorPipelineV2:
    assert isinstance(connector, ConnectorPipelineV2)
    return connector


def _decode_actions(pipeline: ConnectorPipelineV2, *, normalize: bool) -> None:
    """Have actions of a space that RLlib's own pieces do not bring into their form brought there by ours."""
    space: Any = pipeline.input_action_space
    if space is not None and not is_plain(space):
        pipeline.insert_before(ListifyDataForVectorEnv, DecodeActions(normalize_actions=normalize))
        if any(isinstance(piece, NormalizeAndClipActions) for piece in pipeline.connectors):
            pipeline.remove(NormalizeAndClipActions)


def _is_searched(value: Any) -> bool:
    """Whether Tune is still to choose a value in it."""
    if isinstance(value, dict):
        return "grid_search" in value or any(map(_is_searched, value.values()))
    return isinstance(value, Domain)
