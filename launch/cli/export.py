"""``lukasa export``: a trained agent as one file, which plays without Ray; or as ONNX."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lukasa.ground.mistakes import UserError
from lukasa.launch.kinds.table import kind_of
from lukasa.launch.options.fields import split_words
from lukasa.launch.options.parsing import parse
from lukasa.launch.options.program import command
from lukasa.launch.runs.directory import Run, open_run


@dataclass(frozen=True)
class ExportOptions:
    """Write a trained agent to one file that plays without Ray, or as ONNX.

    Attributes:
        out: the file to write; lukasa play FILE plays it, lukasa.agents.load_agent loads it.
        onnx: write the agent's network as ONNX to this file, alone or beside the other; needs the extra onnx.
        checkpoint: which checkpoint to export: best, last, or its name.
    """

    out: str | None = None
    onnx: str | None = None
    checkpoint: str = "best"


def main(argv: Sequence[str]) -> int:
    """Export the agent of one run; returns the exit code."""
    words, rest = split_words(argv)
    options = parse(ExportOptions, rest, prog="lukasa export RUN")
    if len(words) != 1:
        raise UserError("lukasa export takes one run directory: lukasa export RUN --out agent.lukasa")
    if options.out is None and options.onnx is None:
        raise UserError(f"lukasa export needs a file to write: {command('export', words[0], '--out', 'agent.lukasa')}")
    for name, file in (("--out", options.out), ("--onnx", options.onnx)):
        _check_file(name, file)
    run, config = open_run(Path(words[0]))
    if config["kind"] != "rl":
        raise UserError(
            f"run {run.path} is of kind {config['kind']!r}: only agents of `lukasa train rl` can be exported; "
            "lukasa.launch.load_agent loads what other kinds trained"
        )
    _export(run, config, options)
    return 0


def _export(run: Run, config: dict[str, Any], options: ExportOptions) -> None:
    experiment: Any = kind_of("rl").experiments.from_json(config["experiment"])

    from lukasa.agents.portable.agent import load_agent as load_file
    from lukasa.agents.rllib.exporting import NotExportableError, export_agent
    from lukasa.launch.kinds.rl.evaluation import load_agent
    from lukasa.launch.ray.quiet import quiet_libraries

    agent = load_agent(run, experiment, options.checkpoint)
    about = {
        "recipe": config.get("recipe"),
        "env": experiment.env,
        "env_settings": experiment.env_settings,
        "core": experiment.core,
        "algorithm": experiment.algorithm,
        "checkpoint": agent.checkpoint.name,
        "steps": agent.checkpoint.step,
        "score": agent.checkpoint.score,
        "versions": config.get("versions", {}),
    }
    with tempfile.TemporaryDirectory() as folder:
        beside = Path(folder) / "agent.lukasa"
        try:
            with quiet_libraries():
                export_agent(agent.module, beside, about)
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
            size = Path(options.out).stat().st_size
            print(f"{size:,} bytes; play it with\n  {command('play', Path(options.out))}", file=sys.stderr)
            print(options.out)


def _check_file(name: str, file: str | None) -> None:
    """Refuse a file that cannot be written before anything is loaded.

    Raises:
        UserError: it is a folder, or its folder is missing.
    """
    if file is None:
        return
    path = Path(file)
    if path.is_dir():
        raise UserError(f"{name} {path} is a folder: give the name of a file")
    if not path.absolute().parent.is_dir():
        raise UserError(f"{name} {path}: there is no folder {path.absolute().parent}: make it, or choose another")
