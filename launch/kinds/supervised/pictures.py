"""``lukasa plot`` of a trained core: its answers at several lengths, its memory, and where the gradient flows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lukasa import memory
from lukasa.agents.sequence import evaluation_mode, on_core, own_steps, respond, state_gradients
from lukasa.ground.mistakes import UserError
from lukasa.launch.kinds.kind import Pictures
from lukasa.launch.kinds.supervised.drawings import Answer, draw_answers, draw_contents, draw_flow
from lukasa.launch.kinds.supervised.evaluation import TrainedCore, check_widths, load_core, read_lengths
from lukasa.launch.kinds.supervised.experiment import TaskExperiment
from lukasa.launch.kinds.supervised.presentation_pictures import plot_presentations
from lukasa.launch.kinds.supervised.presentations import observer
from lukasa.launch.kinds.supervised.settings import length_settings, make_sampler, split_settings
from lukasa.launch.pictures.episode_panels import Features, Panel
from lukasa.launch.pictures.episodes import draw_episode
from lukasa.launch.pictures.formats import Format, picture_path
from lukasa.launch.pictures.memory_panels import choose, memory_panels
from lukasa.launch.runs.checkpoints import list_checkpoints
from lukasa.launch.runs.directory import Run, read_metrics
from lukasa.memory import Core
from lukasa.tasks import Batch, Sampler, Spec

FLOW_SEQUENCES = 8


@dataclass(frozen=True)
class PlotOptions:
    """Draw a run's learning curve, answers, memory and gradients; of several runs, their curves on one picture.

    Attributes:
        out: file of the learning curves, a PNG, PDF or SVG by its name; in plots/ of the first run by default.
        format: format of all pictures; by default that of --out, or png.
        checkpoint: which core answers: best, last, or a name.
        length: lengths to draw answers at, such as 10,20,50; by default half, all and twice the trained ones.
        seed: seed of the sequences.
        show: parts of the memory to draw, such as write,read,age,gates; all for everything that the core records.
    """

    out: str | None = None
    format: Format | None = None
    checkpoint: str = "best"
    length: str | None = None
    seed: int = 1_000_000
    show: str | None = None


def plot_details(run: Run, experiment: TaskExperiment, options: PlotOptions) -> Iterator[Path]:
    """Draw the pictures of one run beside its learning curve, and give their places."""
    if not list_checkpoints(run.checkpoints):
        return
    trained = load_core(run, experiment, options.checkpoint)
    title = f"{experiment.core} on {experiment.task} ({trained.checkpoint.name})"
    samplers = _samplers(trained, options.length)
    answers = [_answer(trained, name, sampler, options.seed) for name, sampler in samplers.items()]
    yield draw_answers(answers, picture_path(run.plots, "answers", options.format), title=title)
    sampler = make_sampler(experiment.task, "test", split_settings(experiment, "test"))
    yield from _plot_memory(trained, sampler, run.plots, title, options)
    if observer(sampler):
        yield from plot_presentations(trained, sampler, run.plots, title, options.seed, options.format)
    batch = sampler.sample(FLOW_SEQUENCES, torch.Generator().manual_seed(options.seed))
    flow = {name: one.cpu().numpy() for name, one in state_gradients(trained.core, sampler.spec, batch).items()}
    yield draw_flow(read_metrics(run), flow, picture_path(run.plots, "gradients", options.format), title=title)


def _samplers(trained: TrainedCore, text: str | None) -> dict[str, Sampler]:
    """The samplers of the lengths that are asked for, or of those around the trained one that the core is as wide as.

    Raises:
        UserError: a length that is asked for is not possible.
    """
    experiment = trained.experiment
    settings = split_settings(experiment, "test")
    lengths = read_lengths(text)
    if lengths is None:
        try:
            names = length_settings(experiment.task, 2)
        except UserError:
            return {"as trained": make_sampler(experiment.task, "test", settings)}
        longest = max(experiment.sampler[name] for name in names if name != "length" or len(names) == 1)
        lengths = sorted({max(1, longest // 2), longest, 2 * longest} - {0})
    made = {}
    for length in lengths:
        try:
            sampler = make_sampler(experiment.task, "test", settings | length_settings(experiment.task, length))
            check_widths(trained, experiment.task, sampler)
            made[f"length {length}"] = sampler
        except UserError:
            if text is not None:
                raise
    return made


@torch.no_grad()
def outputs_of(core: Core, spec: Spec, batch: Batch) -> Tensor:
    """What a core answers when it sees its own answers: [B, T, K], on the CPU.

    Args:
        core: trained.
        spec: of its task.
        batch: inputs [B, T, D] with their targets.
    """
    batch = on_core(core, batch)
    return respond(core, spec, batch.inputs, own=own_steps(spec, batch, 0.0))[0].cpu()


def shown_targets(spec: Spec, batch: Batch) -> np.ndarray:
    """Targets where something is asked, zeros elsewhere: [T, K] of the batch's first row."""
    return (spec.shown(batch.targets) * batch.mask[..., None])[0].numpy()


def probabilities(spec: Spec, outputs: Tensor, batch: Batch) -> np.ndarray:
    """Probabilities where something is asked, zeros elsewhere: [T, K] of the batch's first row."""
    if spec.target.kind == "binary":
        outputs = outputs.sigmoid()
    elif spec.target.kind == "categorical":
        outputs = outputs.unflatten(-1, (spec.target.symbols, -1)).softmax(-1).flatten(-2)
    return (outputs * batch.mask[..., None])[0].numpy()


def _answer(trained: TrainedCore, name: str, sampler: Sampler, seed: int) -> Answer:
    spec = sampler.spec
    batch = sampler.sample(1, torch.Generator().manual_seed(seed))
    outputs = outputs_of(trained.core, spec, batch)
    wrong, count = spec.mistakes(outputs, batch)
    return Answer(
        f"{name}: {wrong} of {count} {spec.item}s wrong",
        batch.inputs[0].numpy(),
        shown_targets(spec, batch),
        probabilities(spec, outputs, batch),
    )


def _plot_memory(
    trained: TrainedCore, sampler: Sampler, folder: Path, title: str, options: PlotOptions
) -> Iterator[Path]:
    spec = sampler.spec
    batch = sampler.sample(1, torch.Generator().manual_seed(options.seed))
    with memory.record(trained.core) as recording, evaluation_mode(trained.core):
        outputs = probabilities(spec, outputs_of(trained.core, spec, batch), batch)
    found = {name: values[0].cpu().numpy() for name, values in recording.stacked().items()}
    panels = input_panels(spec, batch.inputs[0].numpy())
    panels.append(Features("output", outputs, colours="viridis"))
    panels += memory_panels(found, slots=getattr(trained.core, "slots", None), show=choose(options.show))
    path = picture_path(folder, "memory", options.format)
    draw_episode(panels, path, title=title, subtitle=f"a sequence of {len(outputs)} steps · seed {options.seed}")
    yield path
    if "memory" in found:
        asked = np.flatnonzero(batch.mask[0].numpy())
        moments = {"before the answer": max(0, int(asked[0]) - 1), "at the end": len(outputs) - 1}
        contents = {f"{name} (step {step})": found["memory"][step] for name, step in moments.items()}
        yield draw_contents(contents, picture_path(folder, "contents", options.format), title=title)


def input_panels(spec: Spec, inputs: np.ndarray) -> list[Panel]:
    """Each field of the inputs [T, D] as a panel; flags of one column share one, row by row."""
    columns = {field.name: inputs[:, spec.columns(field.name)] for field in spec.inputs}
    flags = {name: values[:, 0] for name, values in columns.items() if values.shape[1] == 1}
    panels: list[Panel] = [Features(name, columns[name], colours="viridis") for name in columns if name not in flags]
    if flags:
        panels.append(Features("", np.stack(list(flags.values()), 1), list(flags), colours="viridis"))
    return panels


PICTURES = Pictures(PlotOptions, plot_details)
"""What is drawn of a trained core."""
