"""Recipes of `lukasa train questions`: settings of the papers, unless their docstring says otherwise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from lukasa.launch.kinds.kind import Experiments, Group
from lukasa.launch.kinds.questions.experiment import QuestionExperiment
from lukasa.launch.options.typed import question_options_class, reader_options_class

EPOCH, LARGE_EPOCH = 900, 9_000
"""Training questions of one task of bAbI, in the sets of 1,000 and 10,000: a tenth is for validation."""

TASKS = 20

SUMMED = QuestionExperiment(
    data="babi",
    dataset={"size": "en"},
    optimizer="sgd",
    momentum=0.0,
    batch_size=32,
    lr=0.01 * 32,
    first_lr=0.005 * 32,
    clip_norm=40.0 / 32,
    schedule="halving",
    noise=0.1,
)
"""Sukhbaatar et al. 2015 add the gradients of a batch up, where this trainer takes their mean: 32 times the rates."""


def babi_memn2n() -> QuestionExperiment:
    """MemN2N, 3 hops, a reader for each of the twenty bAbI tasks of 1,000 questions (Sukhbaatar et al. 2015, 4.2)."""
    epochs, linear = 100, 20
    return replace(
        SUMMED,
        reader="memn2n",
        options={"linear_start": linear * EPOCH // 32},
        apart=True,
        halve_every=25 * EPOCH,
        steps=(linear + epochs) * EPOCH,
        report_every=EPOCH,
    )


def babi_memn2n_joint() -> QuestionExperiment:
    """MemN2N, 3 hops, one reader for all twenty bAbI tasks of 1,000 questions: size 50, ReLU (section 4.4)."""
    epochs, linear, epoch = 60, 30, TASKS * EPOCH
    return replace(
        SUMMED,
        reader="memn2n",
        options={"size": 50, "relu": True, "linear_start": linear * epoch // 32},
        halve_every=15 * epoch,
        steps=(linear + epochs) * epoch,
        report_every=epoch,
    )


def babi_memn2n_joint_10k() -> QuestionExperiment:
    """`babi_memn2n_joint` on 10,000 questions a task."""
    epochs, linear, epoch = 60, 30, TASKS * LARGE_EPOCH
    return replace(
        babi_memn2n_joint(),
        dataset={"size": "en-10k"},
        options={"size": 50, "relu": True, "linear_start": linear * epoch // 32},
        halve_every=15 * epoch,
        steps=(linear + epochs) * epoch,
        report_every=epoch,
    )


QUESTION_RECIPES: dict[str, Callable[[], QuestionExperiment]] = {
    recipe.__name__: recipe
    for recipe in (
        babi_memn2n,
        babi_memn2n_joint,
        babi_memn2n_joint_10k,
    )
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
    groups={"options": Group("reader", reader_options_class), "dataset": Group("data", question_options_class)},
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
