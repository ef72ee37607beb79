"""Recipes of `lukasa train circuits`: one for each task of Kurach, Andrychowicz & Sutskever 2016."""

from __future__ import annotations

from collections.abc import Callable

from lukasa.launch.kinds.circuits.experiment import CircuitExperiment
from lukasa.launch.kinds.kind import Experiments


def access_nram() -> CircuitExperiment:
    """A machine finds how to look up A[k]."""
    return CircuitExperiment(task="access", registers=2, steps=16_000, validate_every=1600)


def increment_nram() -> CircuitExperiment:
    """A machine finds how to add 1 to every element of an array."""
    return CircuitExperiment(task="increment", registers=4, steps=32_000, validate_every=3200)


def copy_nram() -> CircuitExperiment:
    """A machine finds how to copy an array to an address."""
    return CircuitExperiment(task="copy", registers=4, steps=32_000, validate_every=3200)


def reverse_nram() -> CircuitExperiment:
    """A machine finds how to copy an array backwards to an address."""
    return CircuitExperiment(task="reverse", registers=4, steps=32_000, validate_every=3200)


def swap_nram() -> CircuitExperiment:
    """A machine finds how to swap what stands at two addresses."""
    return CircuitExperiment(task="swap", registers=5, steps=32_000, validate_every=3200)


def permutation_nram() -> CircuitExperiment:
    """A machine finds how to permute an array."""
    return CircuitExperiment(task="permutation", registers=5, steps=32_000, validate_every=3200)


def list_k_nram() -> CircuitExperiment:
    """A machine finds how to follow a linked list for k hops."""
    return CircuitExperiment(task="list_k", registers=5, steps=80_000, validate_every=8000)


def list_search_nram() -> CircuitExperiment:
    """A machine finds how to search a linked list for a value."""
    return CircuitExperiment(task="list_search", registers=5, steps=80_000, validate_every=8000)


def merge_nram() -> CircuitExperiment:
    """A machine looks for how to merge two sorted arrays."""
    return CircuitExperiment(task="merge", registers=6, steps=80_000, validate_every=8000)


def walk_bst_nram() -> CircuitExperiment:
    """A machine looks for how to follow a path down a binary search tree."""
    return CircuitExperiment(task="walk_bst", registers=5, steps=80_000, validate_every=8000)


CIRCUIT_RECIPES: dict[str, Callable[[], CircuitExperiment]] = {
    recipe.__name__: recipe
    for recipe in (
        access_nram,
        increment_nram,
        copy_nram,
        reverse_nram,
        swap_nram,
        permutation_nram,
        list_k_nram,
        list_search_nram,
        merge_nram,
        walk_bst_nram,
    )
}
"""The recipes of `lukasa train circuits`, by name."""

CIRCUITS = Experiments(
    name="circuits",
    experiment=CircuitExperiment,
    recipes=CIRCUIT_RECIPES,
    step_key="examples",
    counted="examples",
    shown=("task", "starts", "registers", "steps"),
    may_change=("device", "validate_every"),
    least={
        "starts": 1,
        "registers": 1,
        "hidden": 1,
        "shortest": 1,
        "longest": 1,
        "spare": 0,
        "entropy": 0,
        "noise": 0,
        "noise_decay": 0,
        "step_cost": 0,
        "threshold": 0,
    },
    above_zero=("entropy_half", "start_norm"),
    sections={
        "What to train": ("task", "starts", "start_from", "steps"),
        "The machine": ("registers", "modules", "controller", "hidden"),
        "Difficulty": ("shortest", "longest", "threshold", "spare"),
        "Tricks": ("entropy", "entropy_half", "noise", "noise_decay", "step_cost", "start_norm"),
        "Running": ("device", "prefetch", "report_every", "validate_every"),
    },
    examples=(
        ("lukasa train circuits copy_nram", "a recipe; lukasa list recipes names them all"),
        ("lukasa train circuits copy_nram --starts 16 --seeds 2", "from more starts, twice"),
        ("lukasa train circuits --task reverse --registers 4 --controller lstm", "without a recipe"),
        ("lukasa train circuits --task copy --modules READ,INC,WRITE", "with fewer modules"),
    ),
)
"""Programs for a random-access memory, as the command line sees them."""
