"""Recipes of `lukasa train programs`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lukasa.ground.mistakes import UserError
from lukasa.launch.kinds.kind import Experiments
from lukasa.launch.kinds.programs.experiment import ProgramExperiment


def _recipe(**asked: Any) -> ProgramExperiment:
    """What all recipes have in common: Adam, with a rate that falls to a hundredth along a cosine."""
    settings = {
        "optimizer": "adam",
        "lr": 3e-3,
        "schedule": "cosine",
        "final_lr": 0.01,
        "clip_norm": 1.0,
        "size": 128,
        "layers": 2,
        "encoding": 128,
        "program_size": 64,
        "key_size": 32,
        "base": 10,
        "longest": 20,
        "batch_size": 8,
        "balance": "programs",
    }
    return ProgramExperiment(**(settings | asked))


def addition() -> ProgramExperiment:
    """Numbers of up to 20 digits are added on a scratch pad, column by column (Reed and de Freitas 2016)."""
    return _recipe(tasks="addition", steps=12_000)


def addition_recursive() -> ProgramExperiment:
    """Addition by programs that call themselves, verified on all their cases (Cai et al. 2017)."""
    return _recipe(tasks="addition", form="recursive", steps=12_000)


def bubble_sort() -> ProgramExperiment:
    """Arrays of up to 20 numbers are sorted by swapping neighbours (Reed and de Freitas 2016)."""
    return _recipe(tasks="bubble_sort", batch_size=2, steps=2_000, report_every=100)


def bubble_sort_recursive() -> ProgramExperiment:
    """Bubble sort by programs that call themselves, verified on all their cases (Cai et al. 2017)."""
    return _recipe(tasks="bubble_sort", form="recursive", batch_size=2, steps=2_000, report_every=100)


def addition_and_sort() -> ProgramExperiment:
    """One core learns addition and bubble sort together (Reed and de Freitas 2016, section 4)."""
    return _recipe(tasks="addition,bubble_sort", steps=12_000)


def max_on_frozen_core() -> ProgramExperiment:
    """MAX and RJMP are taught to a frozen core that sorts: add --start-from a run of bubble_sort."""
    return _recipe(tasks="maximum", known="bubble_sort", lr=3e-2, batch_size=4, steps=2_400, report_every=100)


PROGRAM_RECIPES: dict[str, Callable[[], ProgramExperiment]] = {
    recipe.__name__: recipe
    for recipe in (
        addition,
        addition_recursive,
        bubble_sort,
        bubble_sort_recursive,
        addition_and_sort,
        max_on_frozen_core,
    )
}
"""The recipes of `lukasa train programs`, by name."""


def check_known(experiment: ProgramExperiment) -> None:
    """Refuse a core that knows something already without the run in which it learned that.

    Raises:
        UserError: it does.
    """
    if experiment.known and not experiment.start_from:
        raise UserError(f"--known {experiment.known} is what another run has learned: add --start-from RUN")


PROGRAMS = Experiments(
    name="programs",
    experiment=ProgramExperiment,
    recipes=PROGRAM_RECIPES,
    step_key="traces",
    counted="traces",
    questions=(("tasks", "task", "programs", "addition"),),
    shown=("tasks", "form", "steps"),
    may_change=("device",),
    least={
        "base": 2,
        "longest": 1,
        "size": 1,
        "layers": 1,
        "encoding": 1,
        "program_size": 1,
        "key_size": 1,
    },
    further_checks=(check_known,),
    sections={
        "What to train": ("tasks", "known", "form", "base", "longest", "start_from", "steps"),
        "The core": ("size", "layers", "encoding", "program_size", "key_size", "balance"),
        "Running": ("device", "prefetch", "report_every", "validate_every"),
    },
    examples=(
        ("lukasa train programs addition", "a recipe; lukasa list recipes names them all"),
        ("lukasa train programs addition_recursive --seeds 3", "recursive programs, from three starts"),
        ("lukasa train programs --tasks addition --base 2 --steps 4000", "without a recipe"),
        ("lukasa train programs max_on_frozen_core --start-from RUN", "a new program for a core that sorts"),
    ),
)
"""Programs that are learned from traces, as the command line sees them."""
