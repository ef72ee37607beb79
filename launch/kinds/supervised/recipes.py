"""Recipes of `lukasa train task`: those named ``..._paper`` have the paper's settings, the others learn faster."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

from lukasa.launch.kinds.kind import Experiments, Group
from lukasa.launch.kinds.supervised.experiment import CurriculumOptions, TaskExperiment
from lukasa.launch.kinds.supervised.field_recipes import FIELD_RECIPES
from lukasa.launch.options.typed import option_classes

FAST = TaskExperiment(optimizer="adam", lr=1e-3, batch_size=8, clip_norm=10.0, schedule="cosine", final_lr=0.01)
"""Adam from a learning rate ten times the paper's down to a tenth of that; at a constant one single batches jump."""

FIRST_SLOT = {"initial_weights": "first"}
"""All heads of an NTM start on slot 0 rather than on learned weightings, which start random."""

GRAVES = TaskExperiment(optimizer="rmsprop", lr=1e-4, momentum=0.9, batch_size=1, clip_value=10.0, steps=1_000_000)
"""Graves et al. 2014, section 4: RMSProp with momentum 0.9, gradients clipped to (-10, 10), one sequence at a time."""

RELEASED_DNC = TaskExperiment(
    core="dnc",
    memory={"slots": 16, "word_size": 16, "read_heads": 4, "controller_size": 64},
    optimizer="rmsprop",
    lr=1e-4,
    momentum=0.9,
    epsilon=1e-10,
    batch_size=16,
    clip_norm=50.0,
    steps=1_600_000,
)
"""The settings of the released DNC."""


def copy_ntm() -> TaskExperiment:
    """An NTM learns to copy sequences of up to 20 words."""
    return replace(FAST, task="copy", core="ntm", memory=FIRST_SLOT, steps=60_000)


def copy_ntm_paper() -> TaskExperiment:
    """Copying with the settings of Graves et al. 2014, table 2 (LSTM controller)."""
    return replace(GRAVES, task="copy", core="ntm", lr=1e-4)


def copy_ntm_feedforward_paper() -> TaskExperiment:
    """Copying with the settings of Graves et al. 2014, table 1 (feed-forward controller)."""
    return replace(GRAVES, task="copy", core="ntm", memory={"controller": "feedforward"}, lr=1e-4)


def copy_dnc() -> TaskExperiment:
    """A DNC learns to copy sequences of up to 20 words."""
    memory = {"slots": 32, "word_size": 16, "read_heads": 1, "controller_size": 100}
    return replace(copy_ntm(), core="dnc", memory=memory)


def copy_lstm() -> TaskExperiment:
    """An LSTM learns to copy sequences of up to 20 words."""
    return replace(copy_ntm(), core="lstm", memory={"size": 256, "layers": 3})


def copy_lstm_paper() -> TaskExperiment:
    """Copying with the settings of Graves et al. 2014, table 3 (LSTM alone)."""
    return replace(GRAVES, task="copy", core="lstm", memory={"size": 256, "layers": 3}, lr=3e-5)


def reuse_dnc() -> TaskExperiment:
    """A DNC copies up to 5 words, 10 times over, with 10 slots, so that it has to free and use them again."""
    lessons = json.dumps([{"rounds": rounds} for rounds in (1, 2, 4, 10)])
    curriculum = CurriculumOptions(kind="lessons", lessons=lessons, mastery=1.0)
    # A larger controller keeps the words to itself.
    memory = {"slots": 10, "word_size": 16, "read_heads": 1, "controller_size": 64}
    sampler = {"bits": 6, "min_length": 1, "max_length": 5, "rounds": 10}
    constant = replace(FAST, schedule="constant", final_lr=0.0, steps=60_000)
    return replace(constant, task="copy", sampler=sampler, core="dnc", memory=memory, curriculum=curriculum)


def repeat_copy_ntm() -> TaskExperiment:
    """An NTM learns to copy a sequence as many times as told, few words and times first."""
    sizes = ((3, 2), (4, 4), (6, 6), (8, 8), (10, 10))
    lessons = json.dumps([{"max_length": words, "max_repeats": times} for words, times in sizes])
    curriculum = CurriculumOptions(kind="lessons", lessons=lessons, mastery=1.0, window=50)
    constant = replace(FAST, schedule="constant", final_lr=0.0, steps=200_000)
    return replace(constant, task="repeat_copy", core="ntm", memory=FIRST_SLOT, curriculum=curriculum)


def repeat_copy_ntm_paper() -> TaskExperiment:
    """Repeat copy with the settings of Graves et al. 2014, table 2."""
    return replace(GRAVES, task="repeat_copy", core="ntm", lr=1e-4)


def repeat_copy_lstm_paper() -> TaskExperiment:
    """Repeat copy with the settings of Graves et al. 2014, table 3."""
    return replace(GRAVES, task="repeat_copy", core="lstm", memory={"size": 512, "layers": 3}, lr=3e-5)


def repeat_copy_dnc() -> TaskExperiment:
    """A small DNC learns the task that the released DNC comes with."""
    return replace(RELEASED_DNC, task="repeat_copy_dnc", optimizer="adam", lr=1e-3, epsilon=None, steps=200_000)


def repeat_copy_dnc_paper() -> TaskExperiment:
    """The released DNC's own task with its own settings."""
    return replace(RELEASED_DNC, task="repeat_copy_dnc")


RECALL_NTM = {"controller": "feedforward", "controller_size": 256, "read_heads": 4, "write_heads": 4}
SORT_NTM = {"read_heads": 5, "write_heads": 5, "controller_layers": 2}


def associative_recall_ntm() -> TaskExperiment:
    """An NTM with a feed-forward controller names the item after the one shown again."""
    # Two sequences a batch: what counts is the number of updates.
    constant = replace(FAST, schedule="constant", final_lr=0.0, batch_size=2, lr=3e-4, steps=32_000)
    return replace(constant, task="associative_recall", core="ntm", memory=RECALL_NTM | FIRST_SLOT)


def associative_recall_ntm_paper() -> TaskExperiment:
    """Associative recall with the settings of Graves et al. 2014, table 1 (feed-forward controller)."""
    return replace(GRAVES, task="associative_recall", core="ntm", memory=RECALL_NTM, lr=1e-4)


def associative_recall_lstm() -> TaskExperiment:
    """An LSTM names the item after the one shown again."""
    return replace(FAST, task="associative_recall", core="lstm", memory={"size": 256, "layers": 3}, steps=100_000)


def ngrams_ntm() -> TaskExperiment:
    """An NTM infers the table that a sequence of bits is drawn from."""
    return replace(FAST, task="ngrams", core="ntm", memory=FIRST_SLOT, steps=200_000)


def ngrams_ntm_paper() -> TaskExperiment:
    """Dynamic n-grams with the settings of Graves et al. 2014, table 2."""
    return replace(GRAVES, task="ngrams", core="ntm", lr=3e-5)


def ngrams_lstm() -> TaskExperiment:
    """An LSTM infers the table that a sequence of bits is drawn from."""
    return replace(FAST, task="ngrams", core="lstm", memory={"size": 128, "layers": 3}, steps=200_000)


def priority_sort_ntm() -> TaskExperiment:
    """An NTM puts 20 words in order."""
    return replace(FAST, task="priority_sort", core="ntm", memory=SORT_NTM | FIRST_SLOT, steps=200_000)


def priority_sort_ntm_paper() -> TaskExperiment:
    """Priority sort with the settings of Graves et al. 2014, table 2."""
    return replace(GRAVES, task="priority_sort", core="ntm", memory=SORT_NTM, lr=3e-5)


def priority_sort_lstm() -> TaskExperiment:
    """An LSTM puts 20 words in order."""
    return replace(FAST, task="priority_sort", core="lstm", memory={"size": 128, "layers": 3}, steps=200_000)


def traversal_dnc() -> TaskExperiment:
    """A DNC follows routes through random graphs, lesson by lesson."""
    from lukasa.tasks.graph_tasks import TRAVERSAL_LESSONS

    lessons = CurriculumOptions(kind="lessons", lessons=json.dumps(TRAVERSAL_LESSONS))
    memory = {"slots": 64, "word_size": 32, "read_heads": 5, "controller_size": 256}
    learning = replace(FAST, schedule="constant", final_lr=0.0, batch_size=16, steps=1_000_000)
    return replace(learning, task="traversal", core="dnc", memory=memory, curriculum=lessons)


def traversal_lstm() -> TaskExperiment:
    """An LSTM follows routes through random graphs, lesson by lesson."""
    return replace(traversal_dnc(), core="lstm", memory={"size": 256, "layers": 3})


def babi_dnc() -> TaskExperiment:
    """A DNC answers questions about the stories of bAbI tasks 1, 4, 6, 11, 12 and 15."""
    memory = {"slots": 64, "word_size": 32, "read_heads": 4, "controller_size": 128}
    sampler = {"tasks": (1, 4, 6, 11, 12, 15)}
    return replace(FAST, task="babi", sampler=sampler, core="dnc", memory=memory, steps=100_000)


def babi_dnc_paper() -> TaskExperiment:
    """All bAbI tasks with one DNC, near the settings of Graves et al. 2016."""
    memory = {"slots": 256, "word_size": 64, "read_heads": 4, "controller_size": 256}
    return replace(RELEASED_DNC, task="babi", memory=memory, batch_size=1, clip_norm=None, clip_value=10.0)


def babi_lstm() -> TaskExperiment:
    """An LSTM answers questions about the stories of bAbI tasks 1, 4, 6, 11, 12 and 15."""
    return replace(babi_dnc(), core="lstm", memory={"size": 256})


def omniglot_mann() -> TaskExperiment:
    """A memory-augmented network names characters that it sees for the first time, as in Santoro et al. 2016.

    Two characters at first and up to five: with five at once a MANN could not tell them apart after 40,000 episodes.
    """
    lessons = json.dumps([{"classes": classes} for classes in (2, 3, 4, 5)])
    curriculum = CurriculumOptions(kind="lessons", lessons=lessons, mastery=75.0, window=50)
    constant = replace(FAST, schedule="constant", final_lr=0.0, batch_size=16, steps=500_000, prefetch=True)
    # The part that the paper trains on: "validation" is in it, and only "test" is new.
    sampler = {"part": "train", "label_values": 5}
    return replace(constant, task="omniglot", sampler=sampler, core="mann", curriculum=curriculum)


def omniglot_mann_strength() -> TaskExperiment:
    """Beyond the paper: a MANN that emits key strengths and writes words of its own; it learns in half the episodes."""
    return replace(omniglot_mann(), memory={"words": "own", "key_strength": "emitted"})


def omniglot_lstm() -> TaskExperiment:
    """An LSTM names characters that it sees for the first time."""
    return replace(omniglot_mann(), core="lstm", memory={"size": 200})


def omniglot_dnc() -> TaskExperiment:
    """A DNC, with memory and controller of the size of the MANN's, names characters that it sees for the first time."""
    memory = {"slots": 128, "word_size": 40, "read_heads": 4, "controller_size": 200}
    return replace(omniglot_mann(), core="dnc", memory=memory)


def omniglot_sam() -> TaskExperiment:
    """A SAM, with memory and controller of the size of the MANN's, names characters that it sees for the first time."""
    memory = {"slots": 128, "word_size": 40, "heads": 4, "controller_size": 200}
    return replace(omniglot_mann(), core="sam", memory=memory)


def omniglot_mann_strings() -> TaskExperiment:
    """A memory-augmented network names 5 new characters by strings of five letters (Santoro et al. 2016, table 2)."""
    return replace(omniglot_mann(), sampler={"part": "train", "labels": "string"})


def omniglot_mann_strings_15() -> TaskExperiment:
    """Names 15 new characters by strings, and one more after every 10,000 episodes up to 25 (Santoro et al. 2016)."""
    from lukasa.tasks.episodes import class_curriculum

    lessons = class_curriculum(15, 25, episodes=10_000, batch_size=16)
    curriculum = CurriculumOptions(
        kind="lessons",
        lessons=json.dumps(lessons.lessons),
        mastery=lessons.mastery,
        review=lessons.review,
        window=lessons.window,
    )
    sampler = {"part": "train", "labels": "string", "classes": 15}
    decaying = replace(omniglot_mann(), schedule="cosine", final_lr=FAST.final_lr, steps=110_000)
    return replace(decaying, sampler=sampler, curriculum=curriculum)


TASK_RECIPES: dict[str, Callable[[], TaskExperiment]] = {
    recipe.__name__: recipe
    for recipe in (
        copy_ntm,
        copy_ntm_paper,
        copy_ntm_feedforward_paper,
        copy_dnc,
        copy_lstm,
        copy_lstm_paper,
        reuse_dnc,
        repeat_copy_ntm,
        repeat_copy_ntm_paper,
        repeat_copy_lstm_paper,
        repeat_copy_dnc,
        repeat_copy_dnc_paper,
        associative_recall_ntm,
        associative_recall_ntm_paper,
        associative_recall_lstm,
        ngrams_ntm,
        ngrams_ntm_paper,
        ngrams_lstm,
        priority_sort_ntm,
        priority_sort_ntm_paper,
        priority_sort_lstm,
        traversal_dnc,
        traversal_lstm,
        babi_dnc,
        babi_dnc_paper,
        babi_lstm,
        omniglot_mann,
        omniglot_mann_strength,
        omniglot_lstm,
        omniglot_dnc,
        omniglot_sam,
        omniglot_mann_strings,
        omniglot_mann_strings_15,
    )
} | FIELD_RECIPES
"""The recipes of `lukasa train task`, by name."""

TASK = Experiments(
    name="task",
    experiment=TaskExperiment,
    recipes=TASK_RECIPES,
    step_key="sequences",
    counted="sequences",
    questions=(("task", "task", "tasks", "copy"), ("core", "memory core", "cores", "ntm")),
    shown=("task", "core", "steps"),
    may_change=("device", "precision"),
    groups={"memory": Group("core", option_classes("cores")), "sampler": Group("task", option_classes("tasks"))},
    least={"chunk": 1, "teacher_forcing": 0, "memory_use": 0},
    at_most_one=("teacher_forcing",),
    sections={
        "What to train": ("task", "core", "start_from", "steps"),
        "The task": ("sampler", "curriculum"),
        "Memory": ("memory", "memory_use"),
        "Running": ("device", "precision", "compile", "prefetch", "report_every", "validate_every", "gradient_flow"),
    },
    examples=(
        ("lukasa train task copy_ntm", "a recipe; lukasa list recipes names them all"),
        ("lukasa train task copy_ntm --steps 20000 --seed 1", "a recipe with changes"),
        ("lukasa train task --task associative_recall --core dnc --memory.slots 32", "any task, any core"),
        ("lukasa train task --task priority_sort --help", "the settings of another task"),
    ),
)
"""Supervised tasks, as the command line sees them."""
