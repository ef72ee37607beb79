"""From a command line to an experiment, the same for every kind of training."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from lukasa.ground.mistakes import UserError
from lukasa.ground.names import nearest
from lukasa.launch.comparing.several_seeds import OPTIONS as SEED_OPTIONS
from lukasa.launch.comparing.several_seeds import asked_seeds, is_several, open_group, open_several
from lukasa.launch.kinds.kind import Experiments, Kind, option_name
from lukasa.launch.kinds.table import kind_of
from lukasa.launch.options.fields import Switch, is_given, options_class, peek, split_words
from lukasa.launch.options.help import Page
from lukasa.launch.options.parsing import parse
from lukasa.launch.ray.placement import OPTIONS, Placement, read_placement
from lukasa.launch.runs.directory import Run, open_run
from lukasa.launch.runs.storage import OPTIONS as STORAGE_OPTIONS
from lukasa.launch.runs.storage import fetch
from lukasa.launch.runs.trackers import OPTIONS as TRACKER_OPTIONS
from lukasa.launch.runs.trackers import read_trackers
from lukasa.launch.training.choices import refuse_not_taken

Experiment = TypeVar("Experiment")

LAST_SECTIONS = {
    "Running": ("stop_at", "seed", "seeds", "threads", "checkpoint_every", "resume", "checkpoint"),
    "Where": ("out", "ray", "address", "workers", "gpus_per_worker", "sync", "track"),
}
"""Sections that the help of every kind of training ends with."""


@dataclass(frozen=True)
class Request(Generic[Experiment]):
    """What a command line of ``lukasa train`` asks for."""

    recipe: str | None
    experiment: Experiment
    out: Path | None
    resume: bool
    checkpoint: str | None
    placement: Placement | None = None
    sync: str | None = None
    seeds: tuple[int, ...] | None = None
    concurrent: int | None = None
    track: tuple[str, ...] = ()


def kind_for(kind: Kind[Any], argv: Sequence[str]) -> Kind[Any]:
    """The kind that trains what a command line asks for: some recipes are another kind's.

    Args:
        kind: that the command line names.
        argv: the words after it.

    Raises:
        UserError: there is no run to continue.
    """
    elsewhere, (words, rest) = kind.experiments.elsewhere, split_words(argv)
    recipe, out = words[0] if words else None, peek(rest, "--out")
    if not words and elsewhere and "--resume" in rest and out is not None:
        recipe = open_group(Path(out))[0][1].get("recipe")
    return kind if recipe is None or recipe not in elsewhere else kind_of(elsewhere[recipe])


def read_command_line(name: str, argv: Sequence[str]) -> Request[Any]:
    """What ``lukasa train NAME ...`` asks for; raises as ``read_request``.

    Args:
        name: of the kind.
        argv: the words after it.
    """
    return read_request(kind_for(kind_of(name), argv).experiments, argv)


def read_request(kind: Experiments[Experiment], argv: Sequence[str]) -> Request[Experiment]:
    """Parse the options; those of a group, such as ``--memory``, are typed by what it depends on.

    Raises:
        UserError: a recipe, an option or a value is wrong.
        memory.UnknownNameError: the core is unknown.
    """
    words, rest = split_words(argv)
    if len(words) > 1:
        given = " ".join(words)
        raise UserError(f"lukasa train {kind.name} takes one recipe, got {given!r}: give the rest as --option value")
    recipe = words[0] if words else None
    given = [word[2:].partition("=")[0].replace("-", "_") for word in rest if word.startswith("--")]
    kind.refuse_renamed(given)
    base, several = kind.make(recipe), None
    out = peek(rest, "--out")
    if is_given(rest, "--resume"):
        if out is None:
            raise UserError("--resume needs to know which run: add --out DIR")
        if (sync := peek(rest, "--sync")) and not Path(out).exists():
            fetch(sync, Path(out))
        several = open_several(Path(out)) if is_several(Path(out)) else None
        _, config = open_to_continue(kind, several.runs()[0][0].path if several else Path(out))
        if recipe in (None, config["recipe"]):
            base, recipe = kind.from_json(config["experiment"]), config["recipe"]
    elif peek(rest, "--checkpoint"):
        raise UserError("--checkpoint says where to continue: it needs --resume")
    else:
        base = kind.suited(base, rest)
    options = _parse_options(kind, rest, base)
    seeds = asked_seeds(options, several)
    fields = {}
    for one in dataclasses.fields(kind.experiment):  # pyright: ignore[reportArgumentType]
        value = getattr(options if hasattr(options, one.name) else base, one.name)
        group = kind.groups.get(one.name)
        fields[one.name] = dataclasses.asdict(value) if group and group.options else value
    experiment = kind.experiment(**fields)
    out = None if options.out is None else Path(options.out)
    placement = read_placement(options)
    return Request(
        recipe,
        experiment,
        out,
        options.resume,
        options.checkpoint,
        placement,
        options.sync,
        seeds,
        options.concurrent,
        tuple(read_trackers(options.track)),
    )


def _parse_options(kind: Experiments[Any], argv: Sequence[str], base: Any) -> Any:
    values = {one.name: getattr(base, one.name) for one in dataclasses.fields(base)}
    types, left_out = {}, set()
    for name, group in kind.groups.items():
        chosen = peek(argv, option_name(group.chosen_by)) or values[group.chosen_by]
        # What was said about another core or task says nothing about this one.
        settings = values[name] if chosen == values[group.chosen_by] else {}
        if group.options:
            types[name] = group.options(chosen)
            settings = _with_defaults(types[name], settings, f"{name!r} of {group.chosen_by} {chosen!r}")
        values[name] = settings
        left_out.update(refuse_not_taken(group, chosen, argv))
    extra = [
        ("out", str | None, None, "the run directory; runs/NAME-TIME by default."),
        ("resume", Switch, False, "continue the run at --out."),
        ("checkpoint", str | None, None, "with --resume: the checkpoint to continue from, the last one by default."),
        *SEED_OPTIONS,
        *OPTIONS,
        *STORAGE_OPTIONS,
        *TRACKER_OPTIONS,
    ]
    options = options_class("Options", kind.experiment, types, extra, left_out)
    values = {name: value for name, value in values.items() if name not in left_out}
    return parse(
        options, argv, prog=f"lukasa train {kind.name}", default=options(**values), page=lambda: train_page(kind)
    )


def train_page(experiments: Experiments[Any]) -> Page:
    """The help of ``lukasa train KIND``."""
    summary = (experiments.experiment.__doc__ or "").partition("\n")[0]
    first = {title: names for title, names in experiments.sections.items() if title not in LAST_SECTIONS}
    last = {title: (*experiments.sections.get(title, ()), *names) for title, names in LAST_SECTIONS.items()}
    return Page(f"lukasa train {experiments.name} [RECIPE]", summary, experiments.examples, first, "Learning", last)


def _with_defaults(options: type[Any], settings: Mapping[str, Any], what: str) -> Any:
    """The options of a core, a task or a learner: what ``config.json`` says of them, and the defaults of the others."""
    known = [one.name for one in dataclasses.fields(options)]
    if unknown := [name for name in settings if name not in known]:
        raise UserError(f"config.json has an unknown option {unknown[0]!r} in {what}: {nearest(unknown[0], known)}")
    return options(**settings)


def open_to_continue(kind: Experiments[Any] | Kind[Any], path: Path) -> tuple[Run, dict[str, Any]]:
    """The run of a directory, and its config.

    Raises:
        UserError: there is none, it is a model, or of another kind.
    """
    run, config = open_run(path)
    if run.is_model:
        raise UserError(
            f"{path} is a model, which cannot be continued: train a run that begins with --start-from {path}"
        )
    if config.get("kind") != kind.name:
        raise UserError(f"run {path} was written by `lukasa train {config.get('kind')}`: continue it with that command")
    return run, config
