"""What a run of ``lukasa train rl`` is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from lukasa.launch.kinds.running import Optimisation, Running

Policies = Literal["shared", "separate"]

EPISODES_IN_MEAN = 100
"""The return of a run is the mean of its last so many episodes."""


@dataclass(frozen=True, kw_only=True)
class RLExperiment(Running, Optimisation):
    """A memory agent, an environment and how it learns.

    Attributes:
        env: id of the Gymnasium environment; lukasa list envs names some.
        env_settings: settings of the environment itself, as NAME VALUE pairs: is_slippery false map_name 8x8.
        core: name of the memory core; lukasa list cores names them all.
        memory: options of the core; its defaults for those that are not given.
        policies: shared, one policy for all of several agents in an environment, or separate, one for each; every agent
            has a memory of its own.
        algorithm: how it learns: ppo, or appo or impala with runners that sample while it learns, or dqn from what was
            sampled long ago, or nec or mfec from what earlier episodes earned, or mbec by planning, or reinforce from
            whole episodes, or one of your own, package.module:Class; lukasa list algorithms says what each takes.
        learning: options of the algorithm that it alone has; its defaults for those that are not given.
        steps: environment steps to train for.
        stop_at: stop earlier, when the mean return of the last 100 episodes reaches this.
        curriculum_from: begin with inputs of this length, in an environment whose inputs can grow, and lengthen them
            one by one until they are as long as its settings allow; by default they are so from the start.
        curriculum_mastery: share of the last 100 episodes that must succeed before inputs grow.
        seed: seed of the weights, the actions and the environments.
        runners: processes that sample; 0 samples in the process that learns.
        learners: processes that learn, each from its share of a batch; 0 learns in the process that was started.
        aggregators: processes that put the batches of each learner together (APPO, IMPALA).
        envs_per_runner: copies of the environment in each.
        batch_size: environment steps of one iteration.
        minibatch_size: environment steps of one gradient step (PPO).
        epochs: passes over a batch (PPO).
        max_seq_len: steps of backpropagation through time; by default fragments are cut into chunks of about 64, and
            sequences that are replayed (DQN) have 40.
        gamma: discount of one step.
        gae_lambda: lambda of generalised advantage estimation (PPO).
        entropy: weight of the entropy bonus.
        entropy_end: that weight at the last step, reached on a straight line; by default it stays as it is.
        clip: clip range of the policy ratio (PPO, APPO).
        kl_target: KL divergence of an update (PPO) beyond twice which a penalty, that grows and falls as needed, holds
            the next ones back.
        value_weight: weight of the value loss, the squared error.
        value_clip: largest squared error of the value loss that still learns (PPO); by default however large: where
            returns are beyond its root, 3 for RLlib's 10, a clipped value would never begin to learn.
        embedding: width of the encoded observation, the input of the core.
        output: width of what the core hands to the policy and the value.
        previous_action: show the core the action before.
        previous_reward: show the core the reward before.
        normalize_observations: show the agent real numbers less their mean, in units of their spread, over all that
            was seen so far; one-hot parts, images and numbers bounded by 0 and 1 or by -1 and 1 stay as they are.
        normalize_returns: have the losses see returns in units of their spread of late, so that the scale of the
            rewards does not matter; what is reported stays in the environment's rewards.
        orthogonal: begin with orthogonal weights, which hand on what is observed as large as it came; PyTorch's own
            shrink it layer by layer, and agents whose rewards are rare settle before they tell observations apart.
        threads: threads of the process that learns; more pay for large networks on cores that nobody else uses.
        eval_every: environment steps after which the agent plays episodes of seeds that it is not trained on, taking
            the likeliest actions; the next line of metrics has their mean return; by default never.
        eval_episodes: number of these episodes, the same each time.
        ablation: episodes, at most, of each row of the table at the end of training: the agent intact, with its memory
            wiped before every step, with its controller wiped, and random actions; 0 for no table.
    """

    env: str = "popgym-RepeatPreviousEasy-v0"
    env_settings: dict[str, Any] = field(default_factory=dict)
    core: str = "ntm"
    memory: Mapping[str, Any] = field(default_factory=dict)
    policies: Policies = "shared"
    algorithm: str = "ppo"
    learning: Mapping[str, Any] = field(default_factory=dict)
    steps: int = 200_000
    curriculum_from: int | None = None
    curriculum_mastery: float = 0.8
    clip_norm: float | None = 0.5
    runners: int = 0
    learners: int = 0
    aggregators: int = 0
    envs_per_runner: int = 8
    batch_size: int = 1024
    minibatch_size: int = 256
    epochs: int = 8
    max_seq_len: int | None = None
    gamma: float = 0.99
    gae_lambda: float = 0.95
    entropy: float = 0.0
    entropy_end: float | None = None
    clip: float = 0.2
    kl_target: float = 0.03
    value_weight: float = 0.25
    value_clip: float | None = None
    embedding: int = 64
    output: int = 64
    previous_action: bool = False
    previous_reward: bool = False
    normalize_observations: bool = True
    normalize_returns: bool = True
    orthogonal: bool = True
    eval_every: int | None = None
    eval_episodes: int = 20
    ablation: int = 64

    @property
    def about(self) -> str:
        """What is trained on what, for people."""
        return f"{self.core} on {self.env}"

    @property
    def name(self) -> str:
        """What a run of it is called when nobody says."""
        return f"{self.env}-{self.core}"
