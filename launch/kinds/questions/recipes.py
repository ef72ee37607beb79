"""Recipes of `lukasa train questions`."""

from __future__ import annotations

from collections.abc import Callable

from lukasa.launch.kinds.kind import Experiments, Group
from lukasa.launch.kinds.questions.babi_recipes import BABI_RECIPES
from lukasa.launch.kinds.questions.experiment import QuestionExperiment
from lukasa.launch.options.typed import option_classes


def dialog_memn2n() -> QuestionExperiment:
    """MemN2N chooses what a bot that books restaurants says next, a reader for each task (Bordes et al. 2017).

    The paper searched its settings for each task (its table 5: sizes of 20 to 128, 1 to 3 hops); these are for all.
    """
    return QuestionExperiment(
        data="dialog",
        reader="memn2n",
        options={"size": 64, "hops": 3, "tying": "layerwise", "encoding": "bag"},
        apart=True,
        optimizer="adam",
        lr=3e-3,
        schedule="cosine",
        final_lr=0.01,
        clip_norm=10.0,
        batch_size=32,
        steps=80_000,
        report_every=4_000,
        validate_every=4_000,
        keep="best",
    )


QUESTION_RECIPES: dict[str, Callable[[], QuestionExperiment]] = {
    recipe.__name__: recipe for recipe in (*BABI_RECIPES, dialog_memn2n)
}
"""The recipes of `lukasa train questions`, by name."""

QUESTIONS = Experiments(
    name="questions",
    experiment=QuestionExperiment,
    recipes=QUESTION_RECIPES,
    step_key="questions",
    counted="questions",
    questions=(("data", "set of questions", "questions", "babi"), ("reader", "reader", "readers", "memn2n")),
    shown=("data", "reader", "steps"),
    may_change=("device",),
    groups={
        "options": Group("reader", option_classes("readers")),
        "dataset": Group("data", option_classes("questions")),
    },
    least={"sentences": 1, "noise": 0},
    above_zero=("first_lr",),
    at_most_one=("noise",),
    sections={
        "What to train": ("reader", "data", "tasks", "apart", "start_from", "steps"),
        "Questions": ("dataset", "sentences", "noise"),
        "The reader": ("options", "keep"),
        "Running": ("device", "prefetch", "report_every", "validate_every"),
    },
    examples=(
        ("lukasa train questions babi_memn2n", "a recipe; lukasa list recipes names them all"),
        ("lukasa train questions babi_memn2n --tasks 1-3 --seeds 5", "some of its tasks, from five starts each"),
        ("lukasa train questions --data babi_made --reader memn2n --steps 50000", "without any files"),
        ("lukasa train questions --reader memn2n --help", "the options of another reader"),
    ),
)
"""Questions about stories, as the command line sees them."""
