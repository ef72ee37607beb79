"""What long runs need of a runner of RLlib's: seeds that never coincide, and environments whose failures are seen.

A runner tries an environment that fails anew, a few times; then the failure reaches whoever called ``train()``, with
the environment's own message, whether the runner is a process of its own or not.
"""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import ray
import torch
import tree
from ray.exceptions import RayError
from ray.rllib.env.env_runner import ENV_STEP_FAILURE, EnvRunner
from ray.rllib.utils.metrics import ENV_RESET_TIMER, ENV_STEP_TIMER

from lukasa import envs

TRIES = 3
"""Failures of its environment that end a runner's work."""
FORGIVEN_AFTER = 100
"""Samples without a failure after which those before count no more."""
_ACTIONS = 1 << 20
"""Part of the path of a runner's stream of actions, where copies of the environment have theirs."""

logger = logging.getLogger("ray.rllib.lukasa")


class WatchedRunner(EnvRunner):
    """The share of a runner, before RLlib's own, that seeds its environments and hears of their failures.

    Raises:
        envs.EnvironmentFailedError: from ``sample``: the environment failed ``TRIES`` times, or gave what is no number.
    """

    env: Any
    num_envs: int
    failure: Exception | None = None
    """What ended this runner's work."""

    def __init__(self, **kwargs: Any):
        self._attempts = self._failures = self._samples = 0
        super().__init__(**kwargs)
        if self.config.seed is not None:
            torch.manual_seed(envs.stream_seed(self.config.seed, *self._stream(), _ACTIONS))

    def _stream(self) -> tuple[int, ...]:
        """The path of this runner's streams; one of a runner that Ray started anew is like no other."""
        sitting, evaluates = getattr(self.config, "sitting", 0), int(self.config.in_evaluation)
        path = (sitting, self.worker_index or 0, evaluates, self._attempts)
        remote = ray.is_initialized() and ray.get_runtime_context().get_actor_id() is not None
        if remote and ray.get_runtime_context().was_current_actor_reconstructed:
            path += (time.time_ns(),)
        return path

    def apply(self, func: Any, *args: Any, **kwargs: Any) -> Any:
        """Call a function with this runner, which outlives what the function raises so that it can be asked for it.

        RLlib's own would end the process, and Ray start it anew, without end where the error comes again.
        """
        try:
            return func(self, *args, **kwargs)
        except RayError:
            raise
        except Exception as error:
            self.failure = error if isinstance(error, envs.EnvironmentFailedError) else _told(error)
            raise self.failure from error

    def make_env(self) -> None:
        """Make the copies of the environment.

        Raises:
            envs.EnvironmentFailedError: its constructor raised.
        """
        self.stop()
        self.env = None
        try:
            super().make_env()
        except (envs.UnknownEnvironmentError, envs.MissingExtraError):
            raise
        except Exception as error:
            raise envs.failure_of(self._name, "its constructor", error) from error
        assert self.env is not None

    def stop(self) -> None:
        """Close the environment; one that fails in that is only mentioned, since its work is done."""
        if getattr(self, "env", None) is None:
            return
        try:
            self.env.close()
        except Exception as error:
            logger.warning("%s", envs.failure_of(self._name, "close", error))

    def sample(self, **kwargs: Any) -> Any:
        """As RLlib's."""
        episodes = super().sample(**kwargs)
        self._samples += 1
        if self._samples >= FORGIVEN_AFTER:
            self._failures = 0
        return episodes

    @property
    def _name(self) -> str:
        return str(self.config.env)

    def _try_env_reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        while True:
            assert self.env is not None
            try:
                with self.metrics.log_time(ENV_RESET_TIMER):
                    if seed is None:
                        observations, infos = self.env.reset(options=options)
                    else:
                        seeds = envs.copy_seeds(self.config.seed or 0, self.num_envs, *self._stream())
                        observations, infos = self._reset_copies(seeds)
            except Exception as error:
                self._note(error, "reset")
                continue
            self._check_finite("observation", "reset", observations)
            return observations, infos

    def _reset_copies(self, seeds: Sequence[int]) -> Any:
        return envs.reset_copies(self.env, seeds)

    def _try_env_step(self, actions: Any) -> Any:
        assert self.env is not None
        try:
            with self.metrics.log_time(ENV_STEP_TIMER):
                results = self.env.step(actions)
        except Exception as error:
            self._note(error, "step")
            return ENV_STEP_FAILURE
        log_steps: Callable[..., Any] = self._log_env_steps
        log_steps(metric=self._metrics_num_try_env_step, num_steps=1)
        self._check_finite("observation", "step", results[0])
        self._check_finite("reward", "step", results[1])
        return results

    def _note(self, error: Exception, doing: str) -> None:
        """Make the environment anew after a failure, unless there were too many."""
        failure = envs.failure_of(self._name, doing, error)
        self._failures, self._samples, self._attempts = self._failures + 1, 0, self._attempts + 1
        if self._failures >= TRIES:
            raise failure from error
        logger.warning("%s: it is made anew (failure %d of at most %d)", failure, self._failures, TRIES - 1)
        self.make_env()

    def _check_finite(self, what: str, doing: str, values: Any) -> None:
        for part in tree.flatten(values):
            if isinstance(part, np.ndarray) and part.dtype.kind in "fc" and not np.isfinite(part).all():
                row = int(np.argmin(np.isfinite(part).reshape(len(part), -1).all(1)))
                worst = part[row][~np.isfinite(part[row])].flat[0] if part.ndim > 1 else part[row]
                self._refuse(what, doing, worst, f"copy {row}")

    def _check_masks(self, module: Any, masks: Any, over: Any, doing: str, place: str) -> None:
        """Refuse masks that allow nothing before an episode is over.

        Args:
            module: of the policy that they are for.
            masks: [n, ...].
            over: bool [n], whether the episode is, or the agent has left it.
            doing: in what.
            place: where that is, with "{}" for the number of a mask.
        """
        empty = module.net.mask.empty(masks) & ~np.asarray(over, bool)
        if empty.any():
            raise envs.EnvironmentFailedError(
                f"environment {self._name!r} gave an action_mask that allows no action in {doing}, in its "
                f"{place.format(int(np.argmax(empty)))}: allow at least one until the episode is over"
            )

    def _refuse(self, what: str, doing: str, value: Any, where: str) -> None:
        raise envs.EnvironmentFailedError(
            f"environment {self._name!r} gave a {what} that is no finite number ({value}) in {doing}, in its {where} "
            f"after {self.num_env_steps_sampled_lifetime:,} steps: mend the environment"
        )


class RunnerFailedError(RuntimeError):
    """A remote runner raised an error that is not of its environment.

    Attributes:
        trace: the traceback in the runner.
    """

    def __init__(self, message: str, trace: str = ""):
        super().__init__(message, trace)
        self.message, self.trace = message, trace

    def __str__(self) -> str:
        return self.message


def _told(error: Exception) -> RunnerFailedError:
    """An error as it can be sent to other processes, whatever it holds."""
    message = f"a runner failed: {type(error).__name__}: {' '.join(str(error).split())}"
    return RunnerFailedError(message, "".join(traceback.format_exception(error)))
