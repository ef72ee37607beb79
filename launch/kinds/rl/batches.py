"""Sizes of reinforcement learning that have to fit each other, refused in terms of the options that choose them."""

from __future__ import annotations

import math

from lukasa.ground.mistakes import UserError
from lukasa.launch.kinds.kind import option_name
from lukasa.launch.kinds.rl.experiment import RLExperiment
from lukasa.launch.kinds.rl.learning import is_asynchronous, takes


def check_divisible(experiment: RLExperiment) -> None:
    """Refuse batches that cannot be shared out.

    Raises:
        UserError: one is too large, or no number that the learners divide.
    """
    minibatches, waits = takes(experiment.algorithm, "minibatch_size"), not is_asynchronous(experiment.algorithm)
    if minibatches and experiment.minibatch_size > experiment.batch_size:
        raise UserError(
            f"option --minibatch-size is {experiment.minibatch_size}: expected at most "
            f"the batch size, {experiment.batch_size}"
        )
    if waits and experiment.aggregators:
        raise UserError(
            f"option --aggregators is not for algorithm {experiment.algorithm!r}, whose learners wait for whole "
            "batches: leave it out, or choose appo or impala"
        )
    for name in ("batch_size", "minibatch_size") if minibatches else ("batch_size",):
        size, learners = getattr(experiment, name), max(1, experiment.learners)
        if size % learners:
            raise UserError(f"option {option_name(name)} is {size}: expected a number that {learners} learners divide")


def check_batches(experiment: RLExperiment) -> None:
    """Refuse sizes that contradict each other.

    Raises:
        UserError: no run can have them together.
    """
    learners = max(1, experiment.learners)
    if experiment.aggregators and not experiment.learners:
        raise UserError(
            f"--aggregators {experiment.aggregators} is for processes that learn, and --learners is 0: add --learners "
            "1 or more"
        )
    if is_asynchronous(experiment.algorithm):
        return
    copies = experiment.envs_per_runner * max(1, experiment.runners)
    if copies < learners:
        least = math.ceil(learners / max(1, experiment.runners))
        raise UserError(
            f"--learners {learners} share what whole copies of the environment sampled, and there are {copies} "
            f"(--runners times --envs-per-runner): take --envs-per-runner {least} or more"
        )
    if not takes(experiment.algorithm, "minibatch_size"):
        return
    chunk, minibatch = chunk_length(experiment), experiment.minibatch_size // learners
    if minibatch < chunk:
        shared = f", {minibatch} for each of {learners} learners" if learners > 1 else ""
        why = (
            f"--max-seq-len is {chunk}"
            if experiment.max_seq_len
            else f"chunks have {chunk} with --batch-size {experiment.batch_size} from {copies} copies"
        )
        least = chunk * learners
        larger = f"take --minibatch-size {least} or more"
        if least > experiment.batch_size:
            larger = f"take --batch-size and --minibatch-size of {least} or more"
        raise UserError(
            f"--minibatch-size {experiment.minibatch_size}{shared} has fewer steps than one chunk of backpropagation "
            f"through time ({why}): {larger}, or --max-seq-len {minibatch} or less"
        )


def chunk_length(experiment: RLExperiment) -> int:
    """Steps of backpropagation through time, as PPO will have them."""
    from lukasa.agents.rllib.memory_config import default_max_seq_len  # imports Ray

    copies = experiment.envs_per_runner * max(1, experiment.runners)
    return experiment.max_seq_len or default_max_seq_len(math.ceil(experiment.batch_size / copies))
