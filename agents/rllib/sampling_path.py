"""Whether a runner may sample its episodes side by side (``lean_sampling``), or what is in the way."""

from __future__ import annotations

from typing import Any

from ray.rllib.callbacks.callbacks import RLlibCallback
from ray.rllib.connectors.common import (
    AddObservationsFromEpisodesToBatch,
    AddTimeDimToBatchAndZeroPad,
    BatchIndividualItems,
    NumpyToTensor,
    TensorToNumpy,
)
from ray.rllib.connectors.env_to_module import EnvToModulePipeline
from ray.rllib.connectors.module_to_env import (
    GetActions,
    ListifyDataForVectorEnv,
    ModuleToEnvPipeline,
    NormalizeAndClipActions,
    RemoveSingleTsTimeRankFromBatch,
    UnBatchToIndividualItems,
)

from lukasa.agents.rllib.actions import DecodeActions
from lukasa.agents.rllib.connectors import AddPreviousStep, FeedStateIn, StashStateOut
from lukasa.agents.rllib.module import MemoryRLModule

FORWARD = ("_forward", "_forward_exploration", "_forward_inference", "forward_exploration", "forward_inference")

TO_MODULE = (
    AddObservationsFromEpisodesToBatch,
    AddTimeDimToBatchAndZeroPad,
    BatchIndividualItems,
    NumpyToTensor,
    FeedStateIn,
)
TO_MODULE_LOOKING_BACK = (TO_MODULE[0], AddPreviousStep, *TO_MODULE[1:])
TO_ENV = tuple(
    (
        StashStateOut,
        GetActions,
        TensorToNumpy,
        UnBatchToIndividualItems,
        RemoveSingleTsTimeRankFromBatch,
        form,
        ListifyDataForVectorEnv,
    )
    for form in (NormalizeAndClipActions, DecodeActions)
)


def obstacle(runner: Any) -> str | None:
    """What keeps a runner from sampling its episodes side by side; None where nothing does."""
    if not isinstance(runner.module, MemoryRLModule):
        return f"its module is a {type(runner.module).__name__}"
    for name in FORWARD:
        if getattr(getattr(runner.module, name), "__func__", None) is not getattr(MemoryRLModule, name):
            return f"its module has a {name} of its own"
    pieces = _pieces(runner._env_to_module, EnvToModulePipeline)
    if pieces not in (TO_MODULE, TO_MODULE_LOOKING_BACK):
        return f"its connector from environment to module has pieces of its own ({_told(pieces)})"
    if pieces == TO_MODULE_LOOKING_BACK and not runner.config.episode_lookback_horizon:
        return "its episodes forget the step before when they are cut"
    pieces = _pieces(runner._module_to_env, ModuleToEnvPipeline)
    if pieces not in TO_ENV:
        return f"its connector from module to environment has pieces of its own ({_told(pieces)})"
    if runner.config.callbacks_on_episode_step:
        return "a callback is called at every step of each episode"
    for callback in runner._callbacks:
        if getattr(callback.on_episode_step, "__func__", None) is not RLlibCallback.on_episode_step:
            return f"{type(callback).__name__}.on_episode_step is called at every step of each episode"
    return None


def _pieces(pipeline: Any, kind: type) -> tuple[type, ...]:
    """The types of a pipeline's pieces; its own where it is of another kind."""
    return tuple(map(type, pipeline.connectors)) if type(pipeline) is kind else (type(pipeline),)


def _told(pieces: tuple[type, ...]) -> str:
    known = {*TO_MODULE_LOOKING_BACK, *TO_ENV[0], *TO_ENV[1]}
    return ", ".join(piece.__name__ for piece in pieces if piece not in known) or "in another order"
