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
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.rl_module.multi_rl_module import MultiRLModuleSpec
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.tune.search.sample import Domain

from lukasa import memory
from lukasa.agents.policy.actions import is_plain
from lukasa.agents.policy.settings import MemorySettings, core_path
from lukasa.agents.rllib.actions import DecodeActions
from lukasa.agents.rllib.chunking import ChunkColumns
from lukasa.agents.rllib.connectors import AddPreviousStep, FeedStateIn, RebuildStateIn, StashStateOut
from lukasa.agents.rllib.learning_options import AlgorithmOptions, NoOptions
from lukasa.agents.rllib.many_agents.actions import DecodeEachAgentsActions
from lukasa.agents.rllib.many_agents.connectors import AddPreviousSteps, FeedStates, RebuildStates, StashStates
from lukasa.agents.rllib.many_agents.runner import MemoryMultiAgentEnvRunner
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
        many_agents: whether several agents can learn with it at once.
        not_taken: what ``lukasa train rl`` asks of every algorithm and this one has no use for.
        clip_norm: largest norm of the gradient that ``lukasa train rl`` begins with.
    """

    Options: ClassVar[type[AlgorithmOptions]] = NoOptions
    asynchronous: ClassVar[bool] = False
    many_agents: ClassVar[bool] = True
    not_taken: ClassVar[tuple[str, ...]] = ()
    clip_norm: ClassVar[float] = 0.5

    def __init__(self, algo_class: type | None = None):
        super().__init__(algo_class=algo_class)
        settings = MemorySettings(normalize_observations=True, normalize_returns=True, orthogonal=True)
        self.memory_settings: dict[str, Any] = settings.to_dict()
        self.max_seq_len: int | None = None
        self.policy_memories: dict[str, dict[str, Any]] = {}
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
        policies: Mapping[str, Mapping[str, Any]] | None = None,
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
            policies: of many agents, by the id of a policy: which of these arguments are others there, such as
                ``{"scout": {"core": "dnc", "slots": 64}}``; a policy with a core of its own takes none of the options
                given for the others.
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
        self.policy_memories = {policy: dict(given) for policy, given in (policies or {}).items()}
        if not _is_searched(self.memory_settings):
            MemorySettings(**self.memory_settings).refuse_choices()
            _check_length(max_seq_len)
        return self

    def per_iteration(self, steps: int) -> None:
        """Sample so many environment steps in each iteration, and learn from them."""
        self.training(train_batch_size_per_learner=steps // max(1, self.num_learners or 0))

    def check_environment(self, env: Any) -> None:
        """Refuse an environment that lacks what the algorithm needs.

        Raises:
            ValueError: what it lacks.
        """

    def validate(self) -> None:
        """RLlib's checks and ours, once the config is complete.

        Raises:
            ValueError: the settings contradict each other.
        """
        if self.is_multi_agent and not self.many_agents:
            raise ValueError(
                f"{type(self).__name__} is for one agent: let several agents learn with PPO, APPO or IMPALA"
            )
        if self.is_multi_agent and self.env_runner_cls is MemoryEnvRunner:
            self.env_runner_cls = MemoryMultiAgentEnvRunner
        if self.is_multi_agent:  # RLlib's check takes actions at random, which an action mask may forbid
            self.disable_env_checking = True
        super().validate()
        self._check_memory()
        configs = self._model_configs()
        minibatch = self.minibatch_size
        for policy, config in configs.items():
            chunk = config["max_seq_len"]
            if isinstance(minibatch, int) and minibatch < chunk:
                raise ValueError(
                    f"minibatch_size is {minibatch} steps and max_seq_len {chunk}{_of(policy)}, so that no row fits "
                    f"into a minibatch: set .training(minibatch_size={chunk}) or more, or a shorter "
                    ".memory(max_seq_len=...)"
                )
        if any(map(_looks_back, configs.values())) and not self.episode_lookback_horizon:
            raise ValueError(
                "previous_action and previous_reward look back one step: "
                "set .env_runners(episode_lookback_horizon=1) or more"
            )
        if self.is_multi_agent and not self.episode_lookback_horizon:
            raise ValueError(
                "agents that do not act at every step need what they did last, or RLlib loses steps of theirs: "
                "set .env_runners(episode_lookback_horizon=1) or more"
            )

    def get_default_rl_module_spec(self) -> RLModuleSpec:
        """The memory module, whatever the algorithm's own is."""
        return RLModuleSpec(module_class=MemoryRLModule)

    @property
    def _model_config_auto_includes(self) -> dict[str, Any]:
        chunk = self.max_seq_len or default_max_seq_len(self.get_rollout_fragment_length())
        return super()._model_config_auto_includes | self.memory_settings | {"max_seq_len": chunk}

    def get_multi_rl_module_spec(self, **kwargs: Any) -> MultiRLModuleSpec:
        """RLlib's, with what is said of single policies."""
        spec = super().get_multi_rl_module_spec(**kwargs)
        specs: Any = spec.rl_module_specs
        for policy, one in specs.items():
            if isinstance(one.module_class, type) and issubclass(one.module_class, MemoryRLModule):
                one.model_config = self._model_config_of(policy)
        return spec

    def _model_configs(self) -> dict[Any, dict[str, Any]]:
        """The ``model_config`` of each policy by its id; of one agent's under None."""
        return {policy: self._model_config_of(policy) for policy in self.policies if self.is_multi_agent} or {
            None: self._model_config_of(DEFAULT_MODULE_ID)
        }

    def _model_config_of(self, policy: Any) -> dict[str, Any]:
        """All policies' ``model_config``, and what is said of one by ``rl_module`` or ``memory``, which comes last."""
        spec: Any = self._rl_module_spec
        specs: Any = spec.rl_module_specs if isinstance(spec, MultiRLModuleSpec) else {policy: spec}
        spec = specs.get(policy)
        given: dict[str, Any] = dict(spec._get_model_config()) if spec and spec.model_config else {}
        own = dict(self.policy_memories.get(policy, {}))
        options = {name: own.pop(name) for name in set(own) - {*self.memory_settings, "max_seq_len"}}
        given |= own
        shared = {} if "core" in given else self.memory_settings["core_options"]
        given["core_options"] = {**given.get("core_options", shared), **options}
        if isinstance(given.get("core"), type):
            given["core"] = core_path(given["core"])
        return {**self.model_config, **given}

    def build_env_to_module_connector(self, env: Any = None, spaces: Any = None, device: Any = None) -> ConnectorV2:
        """RLlib's pieces, with the state fed from where it lives rather than from the episodes."""
        pipeline = _pipeline(super().build_env_to_module_connector(env, spaces, device))
        if self._look_back():
            piece = AddPreviousSteps if self.is_multi_agent else AddPreviousStep
            pipeline.insert_before(AddTimeDimToBatchAndZeroPad, piece())
        pipeline.remove(AddStatesFromEpisodesToBatch)
        pipeline.append(FeedStates() if self.is_multi_agent else FeedStateIn())
        return pipeline

    def build_module_to_env_connector(self, env: Any = None, spaces: Any = None) -> ConnectorV2:
        """RLlib's pieces, after the state has been taken out of the batch."""
        pipeline = _pipeline(super().build_module_to_env_connector(env, spaces))
        pipeline.prepend(StashStates() if self.is_multi_agent else StashStateOut())
        _decode_actions(pipeline, normalize=bool(self.normalize_actions), several=self.is_multi_agent)
        return pipeline

    def build_learner_connector(
        self, input_observation_space: Any, input_action_space: Any, device: Any = None
    ) -> ConnectorV2:
        """RLlib's pieces, with the state rebuilt from keyframes rather than picked from one a step."""
        pipeline = _pipeline(super().build_learner_connector(input_observation_space, input_action_space, device))
        if self._look_back():
            piece = AddPreviousSteps if self.is_multi_agent else AddPreviousStep
            pipeline.insert_before(AddTimeDimToBatchAndZeroPad, piece(as_learner_connector=True))
        rebuild = RebuildStates() if self.is_multi_agent else RebuildStateIn()
        pipeline.insert_before(AddStatesFromEpisodesToBatch, rebuild)
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

    def _look_back(self) -> bool:
        """Whether the core of some policy also sees something of the step before."""
        return any(map(_looks_back, self._model_configs().values()))

    def _check_memory(self) -> None:
        _check_length(self.max_seq_len)
        strangers = [policy for policy in self.policy_memories if policy not in self.policies]
        if strangers:
            raise ValueError(
                f"memory(policies=...) speaks of {strangers[0]!r}, which is no policy of multi_agent(policies=...): "
                f"there are {', '.join(map(repr, self.policies))}"
            )
        for policy, config in self._model_configs().items():
            try:
                MemorySettings.from_model_config(config).refuse_choices()
                _check_length(config["max_seq_len"])
            except ValueError as error:
                raise (error if policy is None else ValueError(f"{error}{_of(policy)}")) from None


def _check_length(length: Any) -> None:
    if length is not None and (isinstance(length, bool) or not isinstance(length, int) or length < 1):
        raise ValueError(f"max_seq_len is {length!r}: expected a whole number of at least 1, or None")


def _looks_back(model_config: Mapping[str, Any]) -> bool:
    """Whether a core also sees something of the step before."""
    return bool(model_config["previous_action"] or model_config["previous_reward"])


def _of(policy: Any) -> str:
    """Whose setting a message speaks of."""
    return "" if policy is None else f" (policy {policy!r})"


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


def _decode_actions(pipeline: ConnectorPipelineV2, *, normalize: bool, several: bool) -> None:
    """Have actions of a space that RLlib's own pieces do not bring into their form brought there by ours."""
    space: Any = pipeline.input_action_space
    (own,) = [piece for piece in pipeline.connectors if isinstance(piece, NormalizeAndClipActions)] or [None]
    if several:
        if space is not None and not all(map(is_plain, space.values())):
            clip = bool(own and own.clip_actions)
            decode = DecodeEachAgentsActions(normalize_actions=normalize, clip_actions=clip)
            pipeline.insert_before(ListifyDataForVectorEnv, decode)
            if own:
                pipeline.remove(NormalizeAndClipActions)
    elif space is not None and not is_plain(space):
        pipeline.insert_before(ListifyDataForVectorEnv, DecodeActions(normalize_actions=normalize))
        if own:
            pipeline.remove(NormalizeAndClipActions)


def _is_searched(value: Any) -> bool:
    """Whether Tune is still to choose a value in it."""
    if isinstance(value, dict):
        return "grid_search" in value or any(map(_is_searched, value.values()))
    return isinstance(value, Domain)
