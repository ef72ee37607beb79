"""What was trained, for use in any program: ``load_agent`` and ``rollout``, for runs of every kind."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lukasa.ground.mistakes import UserError
from lukasa.launch.kinds.table import kind_of
from lukasa.launch.runs.checkpoints import PREFIX
from lukasa.launch.runs.directory import open_run

if TYPE_CHECKING:
    import gymnasium as gym

    from lukasa.agents.few_shot import ClassAgent
    from lukasa.agents.rllib import RLAgent, RolloutEpisode
    from lukasa.agents.sequence import CoreAgent

RLLIB_PARTS = ("learner_group", "env_runner")
"""Folders of a checkpoint that RLlib itself saved."""


def load_agent(
    source: Any,
    *,
    checkpoint: str = "best",
    task: int | None = None,
    copies: int | None = None,
    explore: bool = False,
    seed: int | None = None,
) -> RLAgent | CoreAgent | ClassAgent | Any:
    """A trained agent, ready to act step by step; docs/using-a-run.md has an example of each kind.

    Args:
        source: a run directory, one of its checkpoints (``runs/x/checkpoints/step-…``), a checkpoint that RLlib's
            ``save_to_path`` wrote, or an RLlib algorithm.
        checkpoint: of a run directory: best, last, or its name.
        task: whose reader, of a run that trained one for each task.
        copies: environments or sequences side by side; None for one, without a batch axis.
        explore: of reinforcement learning: draw the actions rather than take the likeliest.
        seed: makes the drawn actions repeat.

    Returns:
        As the run was trained, a ``lukasa.agents.rllib.RLAgent`` (``act(observation)``), a
        ``lukasa.agents.sequence.CoreAgent`` (``act(inputs)``) or a ``lukasa.agents.few_shot.ClassAgent``
        (``adapt(examples, labels)``, ``predict(queries)``).

    Raises:
        UserError: there is no such run or checkpoint, it is cut short, or an option is not for its kind.
    """
    options: dict[str, Any] = {"copies": copies, "explore": explore, "seed": seed}
    found = _find(source, checkpoint)
    if found is None:
        _check_task(task, "this is an agent of reinforcement learning")
        return _rl_agent(source, **options)
    path, checkpoint = found
    run, config = open_run(path)
    kind = kind_of(config["kind"])
    if kind.load_agent is None:
        raise UserError(f"run {path} is of kind {kind.name!r}, which has no agent to load")
    if kind.agent_by_task:
        options["task"] = task
    else:
        _check_task(task, f"run {path} is of kind {kind.name!r}")
    experiment = kind.experiments.from_json(config["experiment"])
    with _threads_kept():
        return kind.load_agent(run, experiment, checkpoint, **options)


def _check_task(task: int | None, what: str) -> None:
    if task is not None:
        raise UserError(f"{what}, which has one agent and not one for each task: leave task out")


def rollout(
    source: Any, env: gym.Env | str | Sequence[gym.Env], episodes: int, *, checkpoint: str = "best", **options: Any
) -> list[RolloutEpisode]:
    """Play whole episodes with a trained agent, as ``lukasa.agents.rllib.rollout``, also with that of a run.

    Args:
        source: as in ``load_agent``, of reinforcement learning.
        env: where: an environment, its id, or several to play in side by side.
        episodes: how many.
        checkpoint: of a run directory: best, last, or its name.
        **options: ``explore``, ``seed`` and the others of ``lukasa.agents.rllib.rollout``.

    Raises:
        UserError: there is no such run or checkpoint, or it is of another kind.
        ValueError: as ``lukasa.agents.rllib.rollout``.
    """
    from lukasa.agents.rllib import rollout as play
    from lukasa.launch.ray.quiet import quiet_libraries

    found = _find(source, checkpoint)
    with _threads_kept():
        player = source if found is None else _player(*found)
    with quiet_libraries():
        return play(player, env, episodes, **options)


def _find(source: Any, checkpoint: str) -> tuple[Path, str] | None:
    """The run directory and the checkpoint that are meant; None for what RLlib itself made."""
    if not isinstance(source, str | Path):
        return None
    path = Path(source)
    if all((path / part).is_dir() for part in RLLIB_PARTS):
        return None
    if path.name.startswith(PREFIX) and path.parent.name == "checkpoints":
        return path.parent.parent, path.name
    return path, checkpoint


def _player(path: Path, checkpoint: str) -> Any:
    """What plays of a run of reinforcement learning."""
    from lukasa.launch.kinds.rl.evaluation import load_agent as load_module
    from lukasa.launch.kinds.rl.options import RL

    run, config = open_run(path)
    if config["kind"] != RL.name:
        raise UserError(f"run {path} is of kind {config['kind']!r}: only agents of `lukasa train rl` play environments")
    return load_module(run, RL.from_json(config["experiment"]), checkpoint).module


def _rl_agent(source: Any, **options: Any) -> RLAgent:
    from lukasa.agents.rllib import RLAgent
    from lukasa.launch.ray.quiet import quiet_libraries

    with quiet_libraries():
        return RLAgent(source, **options)


@contextlib.contextmanager
def _threads_kept() -> Iterator[None]:
    """Leave the number of torch's threads to the program that an agent is loaded into."""
    import torch

    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
