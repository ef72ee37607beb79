"""RLlib's runner for memory agents, and why remote runners could not be built or went silent."""

from __future__ import annotations

from typing import Any

import numpy as np
import ray
from ray.rllib.env.env_runner_group import EnvRunnerGroup
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner
from ray.tune.registry import ENV_CREATOR, _global_registry

from lukasa import envs
from lukasa.agents.policy.masks import ACTION_MASK
from lukasa.agents.rllib.lean_sampling import LeanSample
from lukasa.agents.rllib.module import MemoryRLModule
from lukasa.agents.rllib.sampling_path import obstacle
from lukasa.agents.rllib.watched_runner import WatchedRunner

SECONDS_TO_ANSWER = 10.0
FINAL_OBSERVATIONS = ("final_obs", "final_observation")
"""What an environment puts into the last info of an episode when it has already begun the next one."""


class MemoryEnvRunner(WatchedRunner, SingleAgentEnvRunner):
    """Samples for memory agents.

    Raises:
        envs.EnvironmentFailedError: as ``WatchedRunner``.
    """

    def make_env(self) -> None:
        """Make the copies of the environment.

        Raises:
            envs.EnvironmentFailedError: its constructor raised.
            ValueError: its copies start over in another mode than RLlib expects.
        """
        super().make_env()
        envs.start_over_at_the_next_step(self.env.unwrapped, self._name)

    def sampling_path(self) -> str:
        """How this runner samples and why, in a sentence."""
        reason = obstacle(self)
        if reason is None:
            return "All episodes are sampled side by side, since nothing in this config looks at a single step of one."
        return f"Episodes are sampled by RLlib's own pieces, one by one and slower, because {reason}."

    def _sample(
        self,
        *,
        num_timesteps: int | None = None,
        num_episodes: int | None = None,
        explore: bool,
        random_actions: bool = False,
        force_reset: bool = False,
    ) -> Any:
        if random_actions or obstacle(self) is not None:
            return super()._sample(
                num_timesteps=num_timesteps,
                num_episodes=num_episodes,
                explore=explore,
                random_actions=random_actions,
                force_reset=force_reset,
            )
        episodes, steps, ended = LeanSample(self, explore).episodes(num_timesteps, num_episodes, force_reset)
        self._log_env_steps(metric=self._metrics_num_env_steps_sampled, num_steps=steps)
        self._increase_sampled_metrics(steps, ended)
        return episodes

    def _try_env_reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        observations, infos = super()._try_env_reset(seed=seed, options=options)
        self._look_at_masks(observations, np.zeros(self.num_envs, bool), "reset")
        return observations, infos

    def _look_at_masks(self, observations: Any, over: np.ndarray, doing: str) -> None:
        if isinstance(self.module, MemoryRLModule) and self.module.net.mask is not None:
            self._check_masks(self.module, observations[ACTION_MASK], over, doing, "copy {}")

    def _try_env_step(self, actions: Any) -> Any:
        results: Any = super()._try_env_step(actions)
        if isinstance(results, str):  # ENV_STEP_FAILURE
            return results
        observations, _, terminateds, truncateds, infos = results
        self._look_at_masks(observations, np.logical_or(terminateds, truncateds), "step")
        for row in np.flatnonzero(np.logical_or(terminateds, truncateds)):
            if any(name in infos[row] for name in FINAL_OBSERVATIONS):
                raise envs.EnvironmentFailedError(
                    f"environment {self._name!r} starts over within the last step of an episode, expected at the step "
                    'after: build it with autoreset_mode=NEXT_STEP, and declare it as metadata["autoreset_mode"]'
                )
        return results


class _Elsewhere:
    """Makes environments in a process of its own."""

    def failure(self, name: str, create: Any, settings: dict[str, Any]) -> envs.EnvironmentFailedError | None:
        """What becomes of one environment there."""
        try:
            create(settings)
        except Exception as error:
            return envs.failure_of(name, "its constructor", error)
        return None


def check_elsewhere(config: Any) -> None:
    """Make a config's environment in another process, as its runners do: RLlib does not say why they could not.

    Args:
        config: of an algorithm whose remote runners could not be built.

    Raises:
        envs.EnvironmentFailedError: the environment cannot be made there.
    """
    create = _global_registry.get(ENV_CREATOR, config.env)
    maker: Any = ray.remote(num_cpus=0)(_Elsewhere)
    failure: Any = ray.get(maker.remote().failure.remote(str(config.env), create, dict(config.env_config)))
    if failure is not None:
        raise failure


def raise_failures(group: EnvRunnerGroup) -> None:
    """Raise what ended the work of a remote runner.

    Raises:
        envs.EnvironmentFailedError: as ``MemoryEnvRunner.sample``.
        RunnerFailedError: it was no fault of the environment.
    """
    healthy = set(group.healthy_env_runner_ids())
    silent = [index for index in group._worker_manager.actor_ids() if index not in healthy]
    if not silent:
        return
    answers = group._worker_manager.foreach_actor(
        lambda runner: runner.failure,
        remote_actor_ids=silent,
        healthy_only=False,
        timeout_seconds=SECONDS_TO_ANSWER,
        mark_healthy=False,
    )
    for answer in answers.ignore_errors():
        failure = answer.get()
        if failure is not None:
            raise failure
