"""Recipes of `lukasa train rl`: functions that return an experiment, named for what they train.

Every field of an experiment is an option of the command line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from launch.errors import UserError
from launch.kinds import Group, Kind, option_name
from launch.options import core_options_class

EPISODES_IN_MEAN = 100
"""The return of a run is the mean of its last so many episodes."""


@dataclass(frozen=True)
class RLExperiment:
    """A memory agent, an environment and how it learns.

    Attributes:
        env: id of the Gymnasium environment; lukasa list envs names some.
        env_settings: settings of the environment itself, as NAME VALUE pairs: is_slippery false map_name 8x8.
        core: name of the memory core; lukasa list cores names them all.
        memory: options of the core; its defaults for those that are not given.
        algorithm: how it learns: PPO, or APPO or IMPALA with runners that sample while it learns.
        steps: environment steps to train for.
        start_from: run, or one of its checkpoints, whose weights training begins with; drawn from the seed by default.
        stop_at: stop earlier, when the mean return of the last 100 episodes reaches this.
        seed: seed of the weights, the actions and the environments.
        runners: processes that sample; 0 samples in the process that learns.
        learners: processes that learn, each from its share of a batch; 0 learns in the process that was started.
        aggregators: processes that put the batches of each learner together (APPO, IMPALA).
        envs_per_runner: copies of the environment in each.
        batch_size: environment steps of one iteration.
        minibatch_size: environment steps of one gradient step (PPO).
        epochs: passes over a batch (PPO).
        max_seq_len: steps of backpropagation through time; by default fragments are cut into chunks of about 64.
        lr: learning rate of Adam.
        lr_end: learning rate at the last step, reached on a straight line; by default it stays as it is.
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
        grad_clip: largest global norm of the gradient.
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
        checkpoint_every: seconds between two checkpoints.
        ablation: episodes, at most, of each row of the table at the end of training: the agent intact, with its memory
            wiped before every step, with its controller wiped, and random actions; 0 for no table.
    """

    env: str = "popgym-RepeatPreviousEasy-v0"
    env_settings: dict[str, Any] = field(default_factory=dict)
    core: str = "ntm"
    memory: Mapping[str, Any] = field(default_factory=dict)
    algorithm: Literal["ppo", "appo", "impala"] = "ppo"
    steps: int = 200_000
    start_from: str | None = None
    stop_at: float | None = None
    seed: int = 0
    runners: int = 0
    learners: int = 0
    aggregators: int = 0
    envs_per_runner: int = 8
    batch_size: int = 1024
    minibatch_size: int = 256
    epochs: int = 8
    max_seq_len: int | None = None
    lr: float = 1e-3
    lr_end: float | None = None
    gamma: float = 0.99
    gae_lambda: float = 0.95
    entropy: float = 0.0
    entropy_end: float | None = None
    clip: float = 0.2
    kl_target: float = 0.03
    value_weight: float = 0.25
    value_clip: float | None = None
    grad_clip: float | None = 0.5
    embedding: int = 64
    output: int = 64
    previous_action: bool = False
    previous_reward: bool = False
    normalize_observations: bool = True
    normalize_returns: bool = True
    orthogonal: bool = True
    threads: int = 1
    checkpoint_every: float = 60.0
    ablation: int = 64

    @property
    def about(self) -> str:
        """What is trained on what, for people."""
        return f"{self.core} on {self.env}"

    @property
    def name(self) -> str:
        """What a run of it is called when nobody says."""
        return f"{self.env}-{self.core}"


MILLION = 1 << 20
TAPE = {"word_size": 16, "controller": "feedforward", "controller_size": 64, "initial_motion": "tape"}
"""An NTM that remembers by its memory alone, with heads that begin to step on slot by slot."""
SMALL_NTM = {"slots": 16, "word_size": 16, "controller_size": 64}


def _tuned(**settings: Any) -> RLExperiment:
    """An experiment on the numbers that the recipes were tuned with; those of ``RLExperiment`` may move.

    Args:
        **settings: what differs.
    """
    base = RLExperiment(
        envs_per_runner=16,
        batch_size=2048,
        minibatch_size=256,
        epochs=8,
        lr=1e-3,
        gamma=0.9,
        gae_lambda=0.9,
        entropy=0.0,
        clip=0.2,
        kl_target=0.01,
        value_weight=1.0,
        value_clip=None,
        grad_clip=0.5,
        embedding=64,
        output=64,
        normalize_observations=False,
        normalize_returns=False,
        orthogonal=False,
    )
    return replace(base, **settings)


def repeat_previous_medium_ntm() -> RLExperiment:
    """An NTM recalls the card of 31 steps ago, from its memory alone: what `make train` runs."""
    # A chunk is a whole episode of 103 steps, so that every one of them teaches where the read head begins.
    return _tuned(
        env="popgym-RepeatPreviousMedium-v0",
        core="ntm",
        memory={**TAPE, "slots": 48},
        envs_per_runner=32,
        batch_size=32 * 103,
        minibatch_size=8 * 103,
        epochs=6,
        lr=3e-3,
        clip=0.3,
        grad_clip=None,
        max_seq_len=104,
        stop_at=0.9,
    )


def repeat_previous_medium_gru() -> RLExperiment:
    """Recalling the card of 31 steps ago with a GRU, which does not learn it in this time."""
    return replace(repeat_previous_medium_ntm(), core="gru", memory={"size": 64})


def repeat_previous_medium_lstm() -> RLExperiment:
    """Recalling the card of 31 steps ago with an LSTM, which does not learn it in this time."""
    return replace(repeat_previous_medium_ntm(), core="lstm", memory={"size": 64})


def repeat_previous_ntm() -> RLExperiment:
    """An NTM recalls the card of 3 steps ago, from its memory alone."""
    return replace(_repeat_previous("ntm", {**TAPE, "slots": 16}), max_seq_len=52)


def repeat_previous_dnc() -> RLExperiment:
    """A DNC recalls the card of 3 steps ago."""
    return _repeat_previous("dnc", {"slots": 16, "word_size": 16, "read_heads": 1, "controller_size": 64})


def repeat_previous_sam() -> RLExperiment:
    """A SAM with a million slots recalls the card of 3 steps ago."""
    return _repeat_previous("sam", {"slots": MILLION, "word_size": 16, "heads": 1, "controller_size": 64})


def repeat_previous_gru() -> RLExperiment:
    """A GRU recalls the card of 3 steps ago."""
    return _repeat_previous("gru", {"size": 64})


def repeat_previous_lstm() -> RLExperiment:
    """An LSTM recalls the card of 3 steps ago."""
    return _repeat_previous("lstm", {"size": 64})


def repeat_previous_feedforward() -> RLExperiment:
    """Recalling the card of 3 steps ago without memory: stays near chance."""
    return _repeat_previous("feedforward", {"size": 64})


def _repeat_previous(core: str, memory: Mapping[str, Any]) -> RLExperiment:
    # A fragment is one episode of 51 steps and a chunk half of it, so that no row is mostly padding.
    return _tuned(
        env="popgym-RepeatPreviousEasy-v0",
        core=core,
        memory=memory,
        envs_per_runner=32,
        batch_size=32 * 51,
        minibatch_size=816,
        lr=3e-3,
        clip=0.3,
        grad_clip=None,
        max_seq_len=26,
        stop_at=0.9,
    )


def tmaze_ntm() -> RLExperiment:
    """An NTM remembers the cue at the start of a corridor until the junction."""
    return _tuned(
        env="TMaze-L50-v0",
        core="ntm",
        memory=SMALL_NTM,
        steps=400_000,
        stop_at=0.98,
        batch_size=16 * 208,  # fragments of 208 steps: few episodes are cut between cue and junction
        minibatch_size=512,
        gamma=0.99,
        gae_lambda=0.95,
        max_seq_len=104,
        entropy=0.01,
    )


def tmaze_sam() -> RLExperiment:
    """A SAM with a million slots remembers the cue at the start of a corridor until the junction."""
    memory = {"slots": MILLION, "word_size": 16, "heads": 1, "controller_size": 64}
    return replace(tmaze_ntm(), core="sam", memory=memory)


def minigrid_memory_ntm() -> RLExperiment:
    """An NTM remembers the object at the start of MiniGrid's memory room."""
    return _tuned(
        env="MiniGrid-MemoryS7-v0",
        core="ntm",
        memory=SMALL_NTM,
        steps=1_000_000,
        stop_at=0.95,
        envs_per_runner=32,
        batch_size=4096,
        minibatch_size=1024,
        gamma=0.99,
        gae_lambda=0.95,
        max_seq_len=64,
        entropy=0.01,
    )


def minigrid_memory_gru() -> RLExperiment:
    """A GRU remembers the object at the start of MiniGrid's memory room."""
    return replace(minigrid_memory_ntm(), core="gru", memory={"size": 128})


def minigrid_memory_feedforward() -> RLExperiment:
    """MiniGrid's memory room without memory: stays near one half."""
    return replace(minigrid_memory_ntm(), core="feedforward", memory={"size": 128})


def bandit_gru() -> RLExperiment:
    """A GRU learns to find the best of 5 arms in 10 pulls (Duan et al. 2016)."""
    return _tuned(
        env="Bandit-N10-K5-v0",
        core="gru",
        memory={"size": 64},
        steps=900_000,
        envs_per_runner=64,
        batch_size=4096,
        minibatch_size=1024,
        gamma=0.99,
        gae_lambda=0.95,
        max_seq_len=11,
    )


def bandit_100_gru() -> RLExperiment:
    """A GRU learns to find the best of 10 arms in 100 pulls (Duan et al. 2016)."""
    # Returns of up to 100 fall to nothing at the end of each trial, which the observation does not tell: a short
    # horizon, by both discount and lambda, keeps the critic's errors there out of all other steps.
    return replace(
        bandit_gru(),
        env="Bandit-N100-K10-v0",
        memory={"size": 128},
        steps=2_000_000,
        batch_size=64 * 101,
        minibatch_size=16 * 101,
        gamma=0.9,
        gae_lambda=0.3,
        value_weight=0.1,
        max_seq_len=101,
    )


def tabular_mdp_gru() -> RLExperiment:
    """A GRU learns to explore a world of 10 states, and to earn from it, within 100 steps (Duan et al. 2016)."""
    return replace(bandit_100_gru(), env="TabularMDP-N10-v0")


RL_RECIPES: dict[str, Callable[[], RLExperiment]] = {
    recipe.__name__: recipe
    for recipe in (
        repeat_previous_medium_ntm,
        repeat_previous_medium_gru,
        repeat_previous_medium_lstm,
        repeat_previous_ntm,
        repeat_previous_dnc,
        repeat_previous_sam,
        repeat_previous_gru,
        repeat_previous_lstm,
        repeat_previous_feedforward,
        tmaze_ntm,
        tmaze_sam,
        minigrid_memory_ntm,
        minigrid_memory_gru,
        minigrid_memory_feedforward,
        bandit_gru,
        bandit_100_gru,
        tabular_mdp_gru,
    )
}
"""The recipes of `lukasa train rl`, by name."""


RL = Kind(
    name="rl",
    experiment=RLExperiment,
    recipes=RL_RECIPES,
    groups={"memory": Group("core", core_options_class), "env_settings": Group("env")},
    may_change=("steps", "stop_at", "runners", "learners", "aggregators", "threads", "checkpoint_every", "ablation"),
    least={
        "steps": 1,
        "seed": 0,
        "runners": 0,
        "learners": 0,
        "aggregators": 0,
        "envs_per_runner": 1,
        "batch_size": 1,
        "minibatch_size": 1,
        "epochs": 1,
        "max_seq_len": 1,
        "gamma": 0,
        "gae_lambda": 0,
        "lr_end": 0,
        "entropy": 0,
        "entropy_end": 0,
        "embedding": 1,
        "output": 1,
        "threads": 1,
        "checkpoint_every": 0,
        "ablation": 0,
    },
    above_zero=("lr", "clip", "kl_target", "value_clip", "grad_clip"),
    at_most_one=("gamma", "gae_lambda"),
    before_first=("start_from",),
    before_added={
        "normalize_observations": False,
        "normalize_returns": False,
        "orthogonal": False,
        "kl_target": 0.01,
    },
    sections={
        "What to train": ("env", "env_settings", "core", "start_from", "steps"),
        "Memory": ("memory",),
        "Network": (
            "embedding",
            "output",
            "previous_action",
            "previous_reward",
            "normalize_observations",
            "normalize_returns",
            "orthogonal",
        ),
        "Running": ("runners", "envs_per_runner", "learners", "aggregators"),
    },
    examples=(
        ("lukasa train rl repeat_previous_ntm", "a recipe; lukasa list recipes names them all"),
        ("lukasa train rl repeat_previous_ntm --seed 1 --lr 3e-4", "a recipe with changes"),
        ("lukasa train rl --env TMaze-L50-v0 --core dnc --memory.slots 16", "any environment, any core"),
        ("lukasa train rl --core sam --help", "the options of another core"),
    ),
)
"""Reinforcement learning, as the command line sees it."""


def check_numbers(experiment: RLExperiment) -> None:
    """Refuse numbers that no run can have.

    Raises:
        UserError: one is too small or too large.
    """
    RL.check_numbers(experiment)
    if experiment.algorithm == "ppo" and experiment.minibatch_size > experiment.batch_size:
        raise UserError(
            f"option --minibatch-size is {experiment.minibatch_size}: expected at most "
            f"the batch size, {experiment.batch_size}"
        )
    if experiment.algorithm == "ppo" and experiment.aggregators:
        raise UserError("option --aggregators is for appo and impala: PPO's learners wait for whole batches")
    for name in ("batch_size", "minibatch_size") if experiment.algorithm == "ppo" else ("batch_size",):
        size, learners = getattr(experiment, name), max(1, experiment.learners)
        if size % learners:
            raise UserError(f"option {option_name(name)} is {size}: expected a number that {learners} learners divide")
