"""``lukasa train few-shot``: learners of few-shot episodes.

Recipes whose episodes are sequences, such as ``omniglot_mann``, are handed to ``lukasa train task``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from launch import train_task
from launch.asking import words_or_questions
from launch.errors import UserError, nearest
from launch.few_shot_experiment import FewShotExperiment
from launch.few_shot_recipes import FEW_SHOT, FEW_SHOT_RECIPES, SEQUENCE_RECIPES
from launch.options import peek, split_words
from launch.placement import OnRay
from launch.runs import Run
from launch.several_seeds import open_group
from launch.training import Outcome, Request, Resume, read_request, train_command


def main(argv: Sequence[str]) -> int:
    """Train, or continue training; returns the exit code."""
    if is_sequences(argv):
        return train_task.main(argv)
    return train_command(FEW_SHOT, words_or_questions(FEW_SHOT, argv), check_experiment, _train, _on_ray)


def read_command_line(argv: Sequence[str]) -> Request[Any]:
    """Parse the options; raises as ``launch.training.read_request``."""
    return train_task.read_command_line(argv) if is_sequences(argv) else read_request(FEW_SHOT, argv)


def is_sequences(argv: Sequence[str]) -> bool:
    """Whether a command line names a recipe, or continues a run, whose episodes are sequences: those are tasks.

    Raises:
        UserError: there is no such recipe, or no such run.
    """
    words, rest = split_words(argv)
    if words and words[0] not in FEW_SHOT_RECIPES | SEQUENCE_RECIPES:
        raise UserError(f"unknown recipe {words[0]!r}: {nearest(words[0], [*FEW_SHOT_RECIPES, *SEQUENCE_RECIPES])}")
    if words:
        return words[0] in SEQUENCE_RECIPES
    out = peek(rest, "--out")
    if "--resume" not in rest or out is None:
        return False
    _, config = open_group(Path(out))[0]
    return config["kind"] == "task" and config["experiment"].get("task") == "omniglot"


def check_experiment(experiment: FewShotExperiment) -> None:
    """Build everything and answer an episode, so that mistakes show before anything is written.

    Raises:
        UserError: a number or an option cannot be used, or the data is too small for the episodes.
        memory.UnknownNameError: the learner or an option is unknown.
        tasks.DataError: the data is not available.
    """
    FEW_SHOT.check_numbers(experiment)
    if experiment.validate_every is not None and experiment.part != "fit":
        raise UserError(
            f"--validate-every scores characters of part validation, and part {experiment.part} may have them: "
            "train with --part fit"
        )

    import torch

    from agents.few_shot import evaluate_episodes
    from launch.few_shot import make_shots, make_trainer

    if experiment.device == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda needs a GPU that this PyTorch can use, and there is none: take --device cpu")
    trainer = make_trainer(experiment)
    ways, shots = experiment.tested_on
    try:
        for tested in (trainer.shots, make_shots(experiment, experiment.part, ways=ways, shots=shots)):
            evaluate_episodes(trainer.learner, tested, 1, torch.Generator())
    except ValueError as error:
        raise UserError(str(error)) from None


def _train(run: Run, experiment: FewShotExperiment, resume: Resume | None) -> Outcome:
    from launch.few_shot import train

    return train(run, experiment, resume)


def _on_ray() -> OnRay[FewShotExperiment]:
    from launch.data_parallel import on_workers  # imports Ray
    from launch.few_shot import train

    return on_workers(train)
