"""From a request to its run: made anew or continued, where it trains, and what is said as it begins."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from lukasa.ground.mistakes import UserError
from lukasa.launch.kinds.kind import Experiments, Kind, option_name
from lukasa.launch.kinds.running import BEFORE_FIRST
from lukasa.launch.options.program import command, quoted
from lukasa.launch.ray.placement import Placement
from lukasa.launch.runs.checkpoints import find_checkpoint, list_checkpoints, load_checkpoint
from lukasa.launch.runs.directory import Run, create_run, describe_run
from lukasa.launch.runs.endings import Outcome, Resume
from lukasa.launch.training.requests import Request, open_to_continue

Experiment = TypeVar("Experiment")

_part_of_several: ContextVar[bool] = ContextVar("part_of_several", default=False)
"""Whether another process, which trains several seeds, says what this run is and how to go on."""


def is_part_of_several() -> bool:
    """Whether another process, which trains several seeds, says what this run is and how to go on."""
    return _part_of_several.get()


@contextmanager
def part_of_several() -> Iterator[None]:
    """Leave it to another process to say what is trained, and how to go on."""
    before = _part_of_several.set(True)
    try:
        yield
    finally:
        _part_of_several.reset(before)


def resume_command(kind: Kind[Any], run: Run, placement: Placement | None = None, sync: str | None = None) -> str:
    """The exact command that continues a run, where it ran."""
    words = ["train", kind.name, "--out", run.path, "--resume", *(placement.words() if placement else ())]
    words += ["--sync", sync] if sync else []
    return command(*words)


def as_it_begins(kind: Experiments[Experiment], request: Request[Experiment]) -> Experiment:
    """The experiment without what says nothing to a run that is resumed."""
    if not request.resume:
        return request.experiment
    return dataclasses.replace(request.experiment, **dict.fromkeys(BEFORE_FIRST))  # pyright: ignore


def place(
    kind: Kind[Any], request: Request[Any], placement: Placement, stack: ExitStack
) -> tuple[Request[Any], Callable[[Run, Any, Resume | None], Outcome]]:
    """Have Ray running, with all that the workers need, until the stack closes: what to train then, and how."""
    if kind.on_ray is None:
        raise UserError("--ray is not for this kind of training: leave it out")
    from lukasa.launch.ray.session import check_resources, running_ray  # imports Ray

    way = kind.on_ray()
    request = dataclasses.replace(request, experiment=way.adapt(request.experiment, placement))
    kind.check(_on_any_device(as_it_begins(kind.experiments, request)))
    stack.enter_context(running_ray(address=placement.address))
    check_resources(way.bundles(request.experiment, placement))

    def train(run: Run, experiment: Any, resume: Resume | None) -> Outcome:
        return way.train(run, experiment, resume, placement)

    return request, train


def _on_any_device(experiment: Experiment) -> Experiment:
    """The experiment as this machine can check it, which need not have the workers' GPUs."""
    if getattr(experiment, "device", "cpu") == "cpu":
        return experiment
    here = {"device": "cpu", "precision": "float32"}
    names = {one.name for one in dataclasses.fields(experiment)}  # pyright: ignore[reportArgumentType]
    return dataclasses.replace(experiment, **{name: here[name] for name in names & here.keys()})  # pyright: ignore


def out_of(request: Request[Any]) -> Path:
    """The directory that a request names, or one of our own choice."""
    name = request.recipe or request.experiment.name
    return request.out or Path("runs") / f"{name.replace('/', '-').replace(':', '-')}-{datetime.now():%Y%m%d-%H%M%S}"


def new_run(kind: Kind[Any], request: Request[Any]) -> tuple[Run, dict[str, Any]]:
    """The run directory that a request asks for, made, and its config."""
    config = config_of(kind, request.recipe, request.experiment)
    return create_run(out_of(request), config), config


def config_of(kind: Kind[Any], recipe: str | None, experiment: Any) -> dict[str, Any]:
    """The content of ``config.json``."""
    return describe_run(kind.name, recipe, dataclasses.asdict(experiment), kind.experiments.step_key)


def run_to_resume(kind: Kind[Any], request: Request[Any]) -> tuple[Run, dict[str, Any]]:
    """The run that a request continues, unchanged but for what may change, and its config."""
    run, config = open_to_continue(kind, request.out or Path())
    check_unchanged(kind, (run, config), request.experiment)
    return run, config


def check_unchanged(kind: Kind[Any], opened: tuple[Run, dict[str, Any]], experiment: Any) -> None:
    """Refuse to continue a run with another experiment.

    Args:
        kind: of training.
        opened: the run and its config.
        experiment: what is asked for now.

    Raises:
        UserError: a field differs that may not change.
    """
    run, config = opened
    saved = kind.experiments.from_json(config["experiment"])
    for one in dataclasses.fields(saved):
        then, now = getattr(saved, one.name), getattr(experiment, one.name)
        group = kind.experiments.groups.get(one.name)
        if group and group.options:  # a run of before an option was added says nothing of it
            options = group.options(getattr(saved, group.chosen_by))
            then, now = ({**dataclasses.asdict(options()), **values} for values in (then, now))
        if then != now and one.name not in kind.experiments.changeable:
            option = option_name(one.name)
            raise UserError(
                f"run {run.path} was written with {option} {then}, not {now}: "
                f"continue it without {option}, or choose another --out"
            )


def load_checkpoint_to_resume(kind: Kind[Any], run: Run, request: Request[Any]) -> Resume | None:
    """The checkpoint that a request continues from; None where the run has none yet."""
    checkpoints = list_checkpoints(run.checkpoints)
    if request.checkpoint is None and not checkpoints:
        return None
    chosen = checkpoints[-1] if request.checkpoint is None else find_checkpoint(run.checkpoints, request.checkpoint)
    try:
        return chosen, load_checkpoint(chosen)
    except UserError as error:
        earlier = [one.name for one in checkpoints if one.step < chosen.step]
        onward = resume_command(kind, run, request.placement, request.sync)
        hint = f"{onward} --checkpoint {earlier[-1]}" if earlier else "there is no earlier one: train anew"
        raise UserError(f"{error}; {'continue from the one before with ' if earlier else ''}{hint}") from None


def announce(
    kind: Experiments[Any], run: Run, config: Mapping[str, Any], experiment: Any, done: int = 0, seeds: str = ""
) -> str:
    """What begins, in three lines; everything else is in ``config.json``.

    Args:
        kind: what can be asked of its kind of training.
        run: its directory.
        config: what ``config.json`` holds.
        experiment: what is trained.
        done: steps of the checkpoint that it continues from.
        seeds: which, where there are several.
    """
    recipe = f", recipe {config['recipe']}" if config["recipe"] else ""
    onward = f", from step {done:,} on" if done else ""
    folder = quoted(run.path)
    written = "settings in config.json, metrics in metrics.jsonl" if not seeds else "a run directory for each seed"
    return (
        f"training {experiment.about}: {experiment.length} {kind.counted}{onward}, "
        f"{seeds or f'seed {experiment.seed}'}{recipe}\n"
        f"run {folder}: {written}\n"
        f"watch it with  tensorboard --logdir {folder}"
    )
