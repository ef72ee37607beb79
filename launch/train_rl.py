"""``lukasa train rl``: from a command line to an experiment and its run directory."""

from __future__ import annotations

import dataclasses
import json
import shlex
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

from launch.checkpoints import Checkpoint, find_checkpoint, list_checkpoints, load_checkpoint
from launch.cli import program
from launch.errors import UserError
from launch.options import Switch, core_options_class, options_class, parse, peek, split_words
from launch.recipes import MAY_CHANGE, RLExperiment, check_numbers, experiment_from_json, make_experiment, option_name
from launch.runs import Run, create_run, describe_run, locked, open_run

PROG = "lukasa train rl [RECIPE]"


@dataclasses.dataclass(frozen=True)
class Request:
    """What a command line of ``lukasa train rl`` asks for."""

    recipe: str | None
    experiment: RLExperiment
    out: Path | None
    resume: bool
    checkpoint: str | None


def main(argv: Sequence[str]) -> int:
    """Train, or continue training; returns the exit code."""
    request = read_command_line(argv)
    check_experiment(request.experiment)
    run, config = (_run_to_resume if request.resume else _new_run)(request)
    with ExitStack() as stack:
        stack.enter_context(locked(run))
        resume = _load_checkpoint_to_resume(run, request) if request.resume else None
        print(_describe(run, config), file=sys.stderr)

        from launch.rl import train

        outcome = train(run, request.experiment, resume)
    if outcome.signal is not None:
        print(f"stopped at step {outcome.env_steps:,}; continue with\n  {resume_command(run)}", file=sys.stderr)
        return 128 + outcome.signal
    print(outcome.summary())
    print(f"see it with\n  {program()} eval {run.path}\n  {program()} plot {run.path}")
    return 0


def read_command_line(argv: Sequence[str]) -> Request:
    """Parse the options; those of ``--memory`` are typed by the core that is asked for.

    Raises:
        UserError: a recipe, an option or a value is wrong.
        memory.UnknownNameError: the core is unknown.
    """
    words, rest = split_words(argv)
    if len(words) > 1:
        raise UserError(f"lukasa train rl takes one recipe, got {' '.join(words)!r}: give the rest as --option value")
    recipe = words[0] if words else None
    base = make_experiment(recipe) if recipe else RLExperiment()
    out = peek(rest, "--out")
    if "--resume" in rest:
        if out is None:
            raise UserError("--resume needs to know which run: add --out DIR")
        _, config = _open_rl_run(Path(out))
        if recipe in (None, config["recipe"]):
            base, recipe = experiment_from_json(config["experiment"]), config["recipe"]
    elif peek(rest, "--checkpoint"):
        raise UserError("--checkpoint says where to continue: it needs --resume")
    core = peek(rest, "--core") or base.core
    if peek(rest, "--env") not in (None, base.env):
        base = dataclasses.replace(base, env_settings={})
    options = _parse_options(rest, base, core)
    fields = {one.name: getattr(options, one.name) for one in dataclasses.fields(RLExperiment)}
    fields["memory"] = dataclasses.asdict(options.memory)
    experiment = RLExperiment(**fields)
    return Request(
        recipe, experiment, None if options.out is None else Path(options.out), options.resume, options.checkpoint
    )


def check_experiment(experiment: RLExperiment) -> None:
    """Build the core and the environment once, small, so that mistakes show before anything is written.

    Raises:
        UserError: a number or an option of the core cannot be used.
        envs.EnvironmentError: the environment is unknown or not installed.
    """
    import envs
    import memory

    check_numbers(experiment)
    try:
        memory.make_core(experiment.core, input_size=2, output_size=2, **experiment.memory)
    except memory.UnknownNameError:
        raise
    except ValueError as error:
        raise UserError(str(error)) from None
    try:
        envs.make(experiment.env, **experiment.env_settings).close()
    except envs.UnknownEnvironmentError:
        raise
    except ValueError as error:
        raise UserError(str(error)) from None

    from launch.algorithms import make_config, make_module, quiet_libraries

    try:
        with quiet_libraries():
            make_module(make_config(experiment), experiment)
    except ValueError as error:
        raise UserError(str(error)) from None


def resume_command(run: Run) -> str:
    """The exact command that continues a run."""
    return f"{program()} train rl --out {shlex.quote(str(run.path))} --resume"


def _parse_options(argv: Sequence[str], base: RLExperiment, core: str) -> Any:
    memory_options = core_options_class(core)
    extra = [
        ("out", str | None, None, "the run directory; runs/NAME-TIME by default."),
        ("resume", Switch, False, "continue the run at --out."),
        ("checkpoint", str | None, None, "with --resume: the checkpoint to continue from, the last one by default."),
    ]
    options = options_class("TrainRL", RLExperiment, {"memory": memory_options}, extra)
    values = {one.name: getattr(base, one.name) for one in dataclasses.fields(RLExperiment)}
    chosen = base.memory if core == base.core else {}
    default = options(**values | {"core": core, "memory": memory_options(**chosen)})
    return parse(options, argv, prog=PROG, default=default)


def _new_run(request: Request) -> tuple[Run, dict[str, Any]]:
    experiment = request.experiment
    name = request.recipe or f"{experiment.env}-{experiment.core}"
    out = request.out or Path("runs") / f"{name.replace('/', '-')}-{datetime.now():%Y%m%d-%H%M%S}"
    config = describe_run("rl", request.recipe, dataclasses.asdict(experiment))
    return create_run(out, config), config


def _open_rl_run(path: Path) -> tuple[Run, dict[str, Any]]:
    run, config = open_run(path)
    if config.get("kind") != "rl":
        raise UserError(f"run {path} was written by `lukasa train {config.get('kind')}`: continue it with that command")
    return run, config


def _run_to_resume(request: Request) -> tuple[Run, dict[str, Any]]:
    run, config = _open_rl_run(request.out or Path())
    saved = experiment_from_json(config["experiment"])
    for one in dataclasses.fields(RLExperiment):
        then, now = getattr(saved, one.name), getattr(request.experiment, one.name)
        if then != now and one.name not in MAY_CHANGE:
            option = option_name(one.name)
            raise UserError(
                f"run {run.path} was written with {option} {then}, not {now}: "
                f"continue it without {option}, or choose another --out"
            )
    return run, config


def _load_checkpoint_to_resume(run: Run, request: Request) -> tuple[Checkpoint, dict[str, Any]] | None:
    checkpoints = list_checkpoints(run.checkpoints)
    if request.checkpoint is None and not checkpoints:
        return None
    chosen = checkpoints[-1] if request.checkpoint is None else find_checkpoint(run.checkpoints, request.checkpoint)
    try:
        return chosen, load_checkpoint(chosen)
    except UserError as error:
        earlier = [one.name for one in checkpoints if one.step < chosen.step]
        hint = f"{resume_command(run)} --checkpoint {earlier[-1]}" if earlier else "there is no earlier one: train anew"
        raise UserError(f"{error}; {'continue from the one before with ' if earlier else ''}{hint}") from None


def _describe(run: Run, config: dict[str, Any]) -> str:
    experiment = {name: value for name, value in config["experiment"].items() if value is not None}
    versions = ", ".join(f"{name} {version}" for name, version in config["versions"].items())
    return f"run {run.path}  commit {config['commit']}  {versions}\n{json.dumps(experiment)}"
