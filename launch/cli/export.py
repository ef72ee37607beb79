"""``lukasa export``: what was trained as one file; an agent plays without Ray then, or goes into ONNX."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lukasa.ground.mistakes import TrainingError, UserError
from lukasa.launch.comparing.cards import Evaluated, make_card, measure
from lukasa.launch.comparing.scores import best_seed
from lukasa.launch.comparing.several_seeds import Compared, open_compared
from lukasa.launch.kinds.figures import show_figure
from lukasa.launch.kinds.table import kind_of
from lukasa.launch.options.fields import Switch, split_words
from lukasa.launch.options.parsing import parse
from lukasa.launch.options.program import command
from lukasa.launch.runs.checkpoints import BESIDE, find_checkpoint, load_checkpoint, to_plain
from lukasa.launch.runs.directory import Run, open_run
from lukasa.launch.runs.model_files import MODEL, RUN, is_exported, packed


@dataclass(frozen=True)
class ExportOptions:
    """Write what a run trained to one file, with a card; an agent plays from it without Ray. Or write ONNX.

    Attributes:
        out: the file to write; lukasa eval FILE scores it, --start-from FILE begins with it, lukasa play FILE plays an
            agent.
        onnx: write the agent's network as ONNX to this file, alone or beside the other; needs the extra onnx.
        checkpoint: which checkpoint to export: best, last, or its name.
        evaluate: score it as lukasa eval does, also with its memory wiped, and write the figure into its card; of
            several seeds each.
        licence: under which the model may be used, such as MIT, for its card.
    """

    out: str | None = None
    onnx: str | None = None
    checkpoint: str = "best"
    evaluate: Switch = False
    licence: str | None = None


def main(argv: Sequence[str]) -> int:
    """Export what one run trained, or the best of several seeds; returns the exit code."""
    words, rest = split_words(argv)
    options = parse(ExportOptions, rest, prog="lukasa export RUN")
    if len(words) != 1:
        raise UserError("lukasa export takes one run directory: lukasa export RUN --out agent.lukasa")
    if options.out is None and options.onnx is None:
        raise UserError(f"lukasa export needs a file to write: {command('export', words[0], '--out', 'agent.lukasa')}")
    for name, file in (("--out", options.out), ("--onnx", options.onnx)):
        _check_file(name, file)
    if options.out and options.onnx and Path(options.out).absolute() == Path(options.onnx).absolute():
        raise UserError(f"--out and --onnx are both {options.out}: give each a file of its own")
    [compared] = open_compared(words, kind_of, "export")
    place = best_seed(compared)
    run, experiment = compared.runs[place]
    if options.onnx and compared.kind.name != "rl":
        raise UserError(f"run {run.path} is of kind {compared.kind.name!r}: --onnx is for agents of `lukasa train rl`")
    config = open_run(run.path)[1]
    checkpoint = find_checkpoint(run.checkpoints, options.checkpoint)
    figures = _measured(compared, place, options) if options.evaluate else None
    card = make_card(compared, place, config, checkpoint.step, figures) | {"licence": options.licence}
    held = {"config": config, "step": checkpoint.step, "score": checkpoint.score, "card": card}
    if compared.kind.name == "rl":
        _export_agent(run, experiment, options, held)
    else:
        _export_model(compared, load_checkpoint(checkpoint), Path(str(options.out)), held)
    if figures:
        print(show_figure(figures[place]), file=sys.stderr)
    if options.out:
        _announce(Path(options.out), plays=compared.kind.name == "rl")
    return 0


def _measured(compared: Compared, place: int, options: ExportOptions) -> list[Evaluated]:
    """The figure of every seed; the one that is exported also with its memory wiped."""
    way = compared.kind.evaluation()
    return [
        measure(way, run, experiment, options.checkpoint, ablation=number == place)
        for number, (run, experiment) in enumerate(compared.runs)
    ]


def _announce(out: Path, *, plays: bool) -> None:
    used = command("play", out) if plays else command("eval", out)
    print(
        f"{out.stat().st_size:,} bytes; {'play' if plays else 'score'} it with\n  {used}",
        file=sys.stderr,
    )
    print(out)


def _export_model(compared: Compared, state: dict[str, Any], out: Path, held: dict[str, Any]) -> None:
    if BESIDE in state:
        raise UserError(f"run {compared.path} has a memory in files of its own, which no one file holds: copy the run")
    from lukasa.agents.portable.agent_file import write

    tensors: dict[str, Any] = {}
    tree = packed(compared.kind.exported(to_plain(state)), RUN, tensors)
    try:
        write(out, MODEL, {RUN: {**held, "state": tree}}, tensors)
    except OSError as error:
        raise TrainingError(f"--out {out} cannot be written: {error.strerror}") from None


def _export_agent(run: Run, experiment: Any, options: ExportOptions, held: dict[str, Any]) -> None:
    from lukasa.agents.portable.agent import OF_RUN
    from lukasa.agents.portable.agent import load_agent as load_file
    from lukasa.agents.rllib.exporting import PARTS, NotExportableError, export_agent
    from lukasa.launch.kinds.rl.evaluation import load_agent
    from lukasa.launch.ray.quiet import quiet_libraries

    agent = load_agent(run, experiment, options.checkpoint)
    about = {
        "recipe": held["config"].get("recipe"),
        "env": experiment.env,
        "env_settings": experiment.env_settings,
        "core": experiment.core,
        "algorithm": experiment.algorithm,
        "checkpoint": agent.checkpoint.name,
        "steps": agent.checkpoint.step,
        "score": agent.checkpoint.score,
        "versions": held["config"].get("versions", {}),
    }
    # The weights that it plays with are there under their own names.
    played = {name: {"tensor": name if name.startswith(PARTS) else OF_RUN + name} for name in agent.module.state_dict()}
    tree = {"fields": [["played", {"fields": list(played.items())}]]}
    with tempfile.TemporaryDirectory() as folder:
        beside = Path(folder) / "agent.lukasa"
        try:
            with quiet_libraries():
                export_agent(agent.module, beside, about, {**held, "state": tree})
        except NotExportableError as error:
            raise UserError(f"run {run.path}: {error}") from None
        if options.onnx:
            from lukasa.agents.portable.onnx_files import OnnxError, export_onnx

            try:
                export_onnx(load_file(beside, trust_core=True), options.onnx)
            except OnnxError as error:
                raise UserError(f"run {run.path}: {error}") from None
            print(options.onnx)
        if options.out:
            from lukasa.agents.portable.agent_file import replace_file

            replace_file(options.out, beside.read_bytes())


def _check_file(name: str, file: str | None) -> None:
    """Refuse a file that cannot be written, or that holds something else than a model, before anything is loaded.

    Raises:
        UserError: it is a folder, its folder is missing, or it would be lost.
    """
    if file is None:
        return
    path = Path(file)
    if path.is_dir():
        raise UserError(f"{name} {path} is a folder: give the name of a file")
    if not path.absolute().parent.is_dir():
        raise UserError(f"{name} {path}: there is no folder {path.absolute().parent}: make it, or choose another")
    if path.exists() and path.suffix != ".onnx" and not is_exported(path):
        raise UserError(f"{name} {path} exists and is no model, and would be lost: choose another name")
