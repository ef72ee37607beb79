"""``lukasa tune``: a recipe with several values of its fields, the hopeless ones stopped early."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from lukasa.ground.mistakes import UserError
from lukasa.ground.names import nearest
from lukasa.launch.kinds.table import KINDS, is_kind, kind_of, subject_of
from lukasa.launch.options.bounds import check_least
from lukasa.launch.options.fields import Switch, peek, split_words
from lukasa.launch.options.parsing import parse
from lukasa.launch.options.program import command
from lukasa.launch.ray.placement import OPTIONS as PLACEMENT
from lukasa.launch.ray.placement import own_bundles
from lukasa.launch.runs.directory import Run, locked
from lukasa.launch.runs.storage import OPTIONS as STORAGE
from lukasa.launch.sweeps.sweep import Sweep, Trial, create_sweep, open_sweep
from lukasa.launch.training.requests import read_request

FIRST_RUNG = 9
"""By default no trial is stopped before one step in so many."""


@dataclass(frozen=True)
class TuneOptions:
    """Train a recipe with several values of its fields; other options are those of lukasa train.

    Attributes:
        grid: fields and values: lr=1e-3,1e-4 memory.slots=64,128 lr=loguniform(1e-4,1e-2).
        samples: trials of each combination, with seeds and drawn numbers of their own.
        grace: steps before a trial may be stopped; a ninth of all by default, --grace 0 stops none.
        reduction: of so many trials, one goes on from each rung to the next, which has so many times the steps.
        concurrent: trials at a time; as many as there are CPUs for by default.
        cpus_per_trial: CPUs of a trial's own process; its --threads by default. Runners and learners come on top.
        gpus_per_trial: GPUs of a trial's own process; 1 by default where --device is cuda.
        address: HOST:PORT of a Ray cluster; a Ray on this machine by default.
        out: the sweep's folder; sweeps/NAME-TIME by default.
        resume: continue the sweep at --out; trials that ended are not repeated.
    """

    grid: tuple[str, ...] = ()
    samples: int = 1
    grace: int | None = None
    reduction: int = 3
    concurrent: int | None = None
    cpus_per_trial: int | None = None
    gpus_per_trial: float | None = None
    address: str | None = None
    out: str | None = None
    resume: Switch = False


def main(argv: Sequence[str]) -> int:
    """Sweep, or continue a sweep; returns the exit code."""
    words, rest = split_words(argv)
    own, theirs = split_own(rest)
    options = parse(TuneOptions, own, prog="lukasa tune [KIND] RECIPE")
    check_least(options, samples=1, grace=0, reduction=2, concurrent=1, cpus_per_trial=1, gpus_per_trial=0)
    if options.resume:
        if options.out is None:
            raise UserError("--resume needs to know which sweep: add --out DIR")
        if asked_anew(options) or words or theirs:
            raise UserError(
                "a sweep goes on as it was begun: with --resume give only --out, --concurrent, CPUs and GPUs"
            )
        sweep = open_sweep(Path(options.out))
    else:
        sweep = new_sweep(words, theirs, options)
    with locked(Run(sweep.path)):
        number = run_sweep(sweep, options)
    from lukasa.launch.sweeps.report import show_sweep

    show_sweep(sweep)
    if number is None:
        return 0
    address = ["--address", options.address] if options.address else []
    onward = command("tune", "--resume", "--out", sweep.path, *address)
    print(f"{len(sweep.waiting())} trials are not done; continue with\n  {onward}", file=sys.stderr)
    return 128 + number


def asked_anew(options: TuneOptions) -> bool:
    """Whether options say what to sweep, which a sweep that exists has decided."""
    return any(
        getattr(options, name) != getattr(TuneOptions(), name) for name in ("grid", "samples", "grace", "reduction")
    )


def split_own(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """The options of ``lukasa tune`` with their values, every ``--grid`` joined; and those of ``lukasa train``.

    Example:
        >>> split_own(["--grid", "lr=1,2", "--steps", "9", "--grid", "seed=0,1"])
        (['--grid', 'lr=1,2', 'seed=0,1'], ['--steps', '9'])
    """
    own_names = {"--" + one.name.replace("_", "-") for one in dataclasses.fields(TuneOptions)} | {"--help", "-h"}
    grid: list[str] = []
    own: list[str] = []
    theirs: list[str] = []
    into = theirs
    for word in argv:
        if word.startswith("--") or word == "-h":
            name, equals, value = word.partition("=")
            name = name.replace("_", "-")
            if name == "--grid":
                into = grid
                grid += [value] if equals else []
                continue
            into = own if name in own_names else theirs
        into.append(word)
    return (["--grid", *grid] if grid else []) + own, theirs


def new_sweep(words: Sequence[str], theirs: Sequence[str], options: TuneOptions) -> Sweep:
    """Check every trial, and write the sweep.

    Raises:
        UserError: a recipe, a field, an option or a value is wrong.
    """
    from lukasa.launch.sweeps.search_space import as_words, combinations, read_space

    kind, recipe = find_recipe(words)
    if not options.grid and options.samples == 1:
        raise UserError("nothing to sweep: add --grid FIELD=VALUE,VALUE, or --samples N for several seeds")
    refuse_elsewhere(theirs)
    asked = kind_of(kind).experiments
    named = [recipe] if recipe else []
    base = read_request(asked, [*named, *theirs]).experiment
    space = read_space(options.grid)
    asked.refuse_renamed(space)
    check_fields(kind, base, list(space))
    trials, experiments = [], []
    for index, values in enumerate(combinations(space, options.samples, base.seed)):
        trial = Trial(f"{index:03d}", values, [*named, *theirs, *as_words(values)])
        experiments.append(read_request(asked, trial.words).experiment)
        asked.check_numbers(experiments[-1])
        asked.check_together(experiments[-1])
        trials.append(trial)
    # Numbers that are drawn do not change what is built: the first sample of a combination speaks for the others.
    for experiment in experiments[:: options.samples]:
        kind_of(kind).check(experiment)
    check_comparable(kind, experiments)
    fields = [name for name in trials[0].values if len({trial.values[name] for trial in trials}) > 1] or list(space)
    steps = max(experiment.steps for experiment in experiments)
    grace = max(1, steps // FIRST_RUNG) if options.grace is None else min(options.grace or steps, steps)
    name = f"{(recipe or base.name).replace('/', '-')}-{datetime.now():%Y%m%d-%H%M%S}"
    out = Path(options.out) if options.out else Path("sweeps") / name
    sweep = Sweep(out, kind, fields, trials, {"grace": grace, "reduction": options.reduction})
    create_sweep(sweep, experiments, recipe)
    print(f"sweep {out}: {len(trials)} trials of {steps:,} steps", file=sys.stderr)
    return sweep


def find_recipe(words: Sequence[str]) -> tuple[str, str | None]:
    """The kind of training, and the recipe where one is named.

    Raises:
        UserError: there is no such recipe, or neither a recipe nor a kind is named.
    """
    known = {recipe: kind for kind in KINDS for recipe in kind_of(kind).experiments.recipes}
    if words and is_kind(words[0]):
        if len(words) > 2:
            raise UserError(f"lukasa tune takes one recipe, got {' '.join(words[1:])!r}")
        recipe = words[1] if len(words) == 2 else None
        # Recipes whose episodes are sequences are trained as tasks.
        return (kind_of(words[0]).experiments.elsewhere.get(recipe, words[0]) if recipe else words[0]), recipe
    if len(words) != 1:
        raise UserError(
            f"lukasa tune takes one recipe, or one of {', '.join(KINDS)} and options: see lukasa list recipes"
        )
    if words[0] not in known:
        raise UserError(f"unknown recipe {words[0]!r}: {nearest(words[0], known)}")
    return known[words[0]], words[0]


def refuse_elsewhere(theirs: Sequence[str]) -> None:
    """Refuse what places a single run.

    Raises:
        UserError: there is such an option.
    """
    for name in ("checkpoint", *(one[0] for one in (*PLACEMENT, *STORAGE))):
        option = "--" + name.replace("_", "-")
        if option in theirs or peek(theirs, option) is not None:
            raise UserError(
                f"{option} is for a single run: leave it out, and see lukasa tune --help for what a sweep has"
            )


def check_fields(kind: str, base: Any, names: Sequence[str]) -> None:
    """Refuse fields that are no part of an experiment; those below one are checked by the command line.

    Raises:
        UserError: a field is unknown.
    """
    known = [one.name for one in dataclasses.fields(base)]
    for name in names:
        if name.partition(".")[0] not in known:
            raise UserError(f"unknown field {name!r} of lukasa train {kind}: {nearest(name, known)}")


def check_comparable(kind: str, experiments: Sequence[Any]) -> None:
    """Refuse trials whose scores mean different things.

    Raises:
        UserError: they are of several environments or tasks.
    """
    subjects = [subject_of(kind, experiment) for experiment in experiments]
    names = list(dict.fromkeys(subject.name for subject in subjects))
    if len(names) > 1:
        told = f"{len(names)} {subjects[0].plural} ({', '.join(names)})"
        raise UserError(f"these trials are of {told}, whose scores do not compare: sweep one at a time")


def run_sweep(sweep: Sweep, options: TuneOptions) -> int | None:
    """Train what has not ended; the signal that stopped it, None when all is done.

    Raises:
        UserError: the machine or the cluster has not so much as trials need.
    """
    if not sweep.waiting():
        return None
    from lukasa.launch.ray.session import check_resources, running_ray
    from lukasa.launch.sweeps.sweep import results
    from lukasa.launch.sweeps.trials import check_machines, run_trials, wish_to_stop

    needs = {
        one.trial.name: own_bundles(one.experiment, options.cpus_per_trial, options.gpus_per_trial)
        for one in results(sweep)
    }
    waiting = [needs[trial.name] for trial in sweep.waiting()]
    largest = int(max(sum(bundle["CPU"] for bundle in one) for one in waiting))
    cpus = max(largest, os.cpu_count() or 1)
    with ExitStack() as stack:
        stack.enter_context(running_ray(cpus, options.address))
        at_once = max(waiting, key=lambda one: sum(bundle["CPU"] for bundle in one)) * (options.concurrent or 1)
        check_resources(at_once, "lower --concurrent or --cpus-per-trial")
        check_machines(sweep)
        stop = stack.enter_context(wish_to_stop())
        run_trials(sweep, needs, concurrent=options.concurrent, stop=stop)
    return stop.signal
