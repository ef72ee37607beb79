"""``lukasa view`` of a trained core: a sequence of its task, step by step.

Dimensions: T steps, D columns of the input, C chosen outputs, K columns of the output.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lukasa.agents.sequence import evaluation_mode, log_odds
from lukasa.launch.kinds.kind import Views
from lukasa.launch.kinds.supervised.evaluation import TrainedCore, check_widths, load_core
from lukasa.launch.kinds.supervised.experiment import TaskExperiment
from lukasa.launch.kinds.supervised.pictures import input_panels, outputs_of, probabilities, shown_targets
from lukasa.launch.kinds.supervised.presentations import observer
from lukasa.launch.kinds.supervised.settings import length_settings, make_sampler, split_settings
from lukasa.launch.options.bounds import check_least
from lukasa.launch.pictures.episode_panels import Features
from lukasa.launch.runs.directory import Run
from lukasa.launch.views.core_tracks import core_view
from lukasa.launch.views.gradients import check_gradients, output_gradients
from lukasa.launch.views.tracks import tracks_of
from lukasa.launch.views.view import Film, Track, View
from lukasa.launch.views.watching import core_inputs, watch
from lukasa.tasks import Batch, Sampler, Spec


@dataclass(frozen=True)
class ViewOptions:
    """Write a page to step through a sequence: inputs, targets, outputs, the memory, and the gradient.

    Attributes:
        out: file of the page; plots/view.html of the run by default.
        checkpoint: which core answers: best, last, or a name.
        length: length of the sequence, such as 20; as in the test by default.
        seed: seed of the sequence; the same as in lukasa plot.
        steps: first steps to show; all by default.
        gradients: outputs whose gradient is found, spread over what is asked; 0 for none.
    """

    out: str | None = None
    checkpoint: str = "best"
    length: int | None = None
    seed: int = 1_000_000
    steps: int | None = None
    gradients: int = 32


def view_sequence(run: Run, experiment: TaskExperiment, options: ViewOptions) -> View:
    """Let the core answer one sequence.

    Raises:
        UserError: there is no such checkpoint, or an option cannot be used.
    """
    check_least(options, length=1, steps=1)
    check_gradients(options.gradients)
    trained = load_core(run, experiment, options.checkpoint)
    sampler = _sampler(trained, options.length)
    batch = sampler.sample(1, torch.Generator().manual_seed(options.seed))
    steps = min(int(batch.lengths[0]), options.steps or int(batch.lengths[0]))
    inputs, targets, mask = (part[:, :steps] for part in batch[:3])
    batch = Batch(inputs, targets, mask, batch.lengths.clamp(max=steps))
    subtitle = f"a sequence of {steps} steps · seed {options.seed} · {trained.checkpoint.name} of {run.path.name}"
    return sequence_view(trained.core, sampler, batch, f"{experiment.core} on {experiment.task}", subtitle, options)


def _sampler(trained: TrainedCore, length: int | None) -> Sampler:
    experiment = trained.experiment
    settings = split_settings(experiment, "test")
    if length is not None:
        settings |= length_settings(experiment.task, length)
    sampler = make_sampler(experiment.task, "test", settings)
    check_widths(trained, experiment.task, sampler)
    return sampler


def sequence_view(core: Any, sampler: Any, batch: Batch, title: str, subtitle: str, options: ViewOptions) -> View:
    """The view of one sequence.

    Args:
        core: who answers.
        sampler: of the task.
        batch: of one row without padding.
        title: who answers.
        subtitle: which sequence.
        options: of the command.
    """
    spec = sampler.spec
    with evaluation_mode(core), torch.no_grad():
        with core_inputs(core) as inputs:
            outputs = outputs_of(core, spec, batch)
        seen = core_view(watch(core, torch.cat(inputs)))
    asked = np.flatnonzero(batch.mask[0].numpy()).tolist()
    readout, stands = readout_of(spec)
    found, notes = output_gradients(core, torch.cat(inputs), readout, asked, options.gradients, stands)
    wrong, count = spec.mistakes(outputs, batch)
    shown = [*tracks_of(input_panels(spec, batch.inputs[0].numpy())), *_answers(spec, outputs, batch)]
    return View(
        title=f"{title}: {wrong} of {count} {spec.item}s wrong",
        subtitle=subtitle,
        steps=len(outputs[0]),
        tracks=[*shown, *seen.tracks],
        films=[*_pictures(sampler, batch), *seen.films],
        texts={"asked": [_asked(spec, outputs, batch, step) for step in range(len(outputs[0]))]},
        words=seen.words,
        links=seen.links,
        gradients=found,
        notes=[*seen.notes, *notes],
    )


def readout_of(spec: Spec) -> tuple[Callable[[Tensor], Tensor], str]:
    """From outputs [C, K] to the number [C] that stands for the answer that is given, and what it is in words."""

    def readout(outputs: Tensor) -> Tensor:
        if spec.target.kind == "categorical":
            return log_odds(outputs.unflatten(-1, (spec.target.symbols, -1))).sum(-1)
        return outputs.abs().sum(-1) if spec.target.kind == "binary" else outputs.sum(-1)

    words = {"categorical": "the log odds of the answer", "binary": "the log odds of all bits of the answer"}
    return readout, words.get(spec.target.kind, "the sum of the output")


def _answers(spec: Spec, outputs: Tensor, batch: Batch) -> list[Track]:
    targets = shown_targets(spec, batch)
    top = max(1.0, float(targets.max(initial=0)))
    limits = None if spec.target.kind == "scalar" else (0.0, top)
    found = {"target": targets, "output": probabilities(spec, outputs, batch)}
    return tracks_of(Features(name, values, (), limits, "viridis") for name, values in found.items())


def _pictures(sampler: Any, batch: Batch) -> list[Film]:
    """Of a task that presents pictures, those."""
    if observer(sampler) is None:
        return []
    side = int(sampler.spec.inputs[0].width ** 0.5)
    pixels = batch.inputs[0, :, : side * side].numpy().reshape(-1, side, side)
    return [Film("picture", 1 - np.clip(pixels, 0, 1))]


def _asked(spec: Spec, outputs: Tensor, batch: Batch, step: int) -> str:
    """What was wanted and what was answered at a step."""
    if not batch.mask[0, step]:
        return "nothing"
    wanted, answer = batch.targets[0, step].tolist(), spec.answers(outputs)[0, step].tolist()
    said = [" ".join(f"{one:.4g}" for one in values) for values in (wanted, answer)]
    return f"wanted   {said[0]}\nanswered {said[1]}"


VIEWS = Views(ViewOptions, view_sequence)
"""What a page shows of a trained core."""
