"""Recipes of `lukasa train continual`: one for each stream; `--method` chooses how it is learned."""

from __future__ import annotations

from collections.abc import Callable

from lukasa.launch.kinds.continual.experiment import ContinualExperiment
from lukasa.launch.kinds.kind import Experiments, Group
from lukasa.launch.options.typed import option_classes


def omniglot_alphabets() -> ContinualExperiment:
    """Ten alphabets of Omniglot, twenty characters of each; tasks are known, each has a head of its own."""
    return ContinualExperiment(model="conv", model_options={"channels": 16}, task_steps=2400, lr=2e-3)


def omniglot_alphabets_unknown() -> ContinualExperiment:
    """`omniglot_alphabets` with one head over all 200 characters."""
    return ContinualExperiment(model="conv", model_options={"channels": 16}, task_steps=2400, lr=2e-3, task_known=False)


def omniglot_alphabets_once() -> ContinualExperiment:
    """`omniglot_alphabets`, each drawing seen once."""
    return ContinualExperiment(model="conv", model_options={"channels": 16}, task_steps=300, once=True, batch_size=10)


def permuted_pixels() -> ContinualExperiment:
    """Ten orders of the pixels of generated characters, one head for all; a perceptron of two layers of 256.

    Kirkpatrick et al. 2017 have MNIST, for which give `--dataset.pictures mnist`.
    """
    return ContinualExperiment(
        stream="permuted_pixels",
        model="mlp",
        model_options={"units": 256, "layers": 2},
        task_known=False,
        task_steps=4500,
        lr=1e-3,
    )


def babi_stream() -> ContinualExperiment:
    """Six generated bAbI tasks, one after the other, read by MemN2N."""
    return ContinualExperiment(
        stream="babi_stream", model="memn2n", task_known=False, task_steps=16_000, lr=3e-3, clip_norm=10.0
    )


def algorithms() -> ContinualExperiment:
    """Copying, recalling, reversing, counting and repeating, one after the other, by one LSTM."""
    return ContinualExperiment(
        stream="algorithms", model="lstm", model_options={"size": 128}, task_steps=32_000, lr=3e-3, clip_norm=10.0
    )


CONTINUAL_RECIPES: dict[str, Callable[[], ContinualExperiment]] = {
    recipe.__name__: recipe
    for recipe in (
        omniglot_alphabets,
        omniglot_alphabets_unknown,
        omniglot_alphabets_once,
        permuted_pixels,
        babi_stream,
        algorithms,
    )
}
"""The recipes of `lukasa train continual`, by name."""

CONTINUAL = Experiments(
    name="continual",
    experiment=ContinualExperiment,
    recipes=CONTINUAL_RECIPES,
    step_key="examples",
    counted="examples",
    questions=(
        ("stream", "stream of tasks", "streams", "omniglot_alphabets"),
        ("method", "method", "methods", "rehearsal"),
    ),
    shown=("stream", "method", "task_steps"),
    may_change=("device",),
    groups={
        "options": Group("method", option_classes("methods")),
        "dataset": Group("stream", option_classes("streams")),
        "model_options": Group("model"),
    },
    least={"task_steps": 1},
    sections={
        "What to train": ("method", "stream", "task_known", "task_steps", "once", "start_from", "steps"),
        "The tasks": ("dataset",),
        "The method": ("options",),
        "The model": ("model", "model_options"),
        "Running": ("device", "prefetch", "report_every", "validate_every"),
    },
    examples=(
        ("lukasa train continual omniglot_alphabets --method ewc", "a recipe, learned by another method"),
        ("lukasa train continual permuted_pixels --method rehearsal --seeds 3", "three seeds"),
        ("lukasa train continual --stream algorithms --model dnc --method distillation", "any core"),
        ("lukasa train continual --method ewc --help", "the options of another method"),
    ),
)
"""Learning tasks one after the other, as the command line sees it."""
