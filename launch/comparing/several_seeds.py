"""An experiment of several seeds on disk: an ordinary run directory for each, and a file that names them.

::

    RUN/seeds.json       the kind of training, the seeds and their folders
    RUN/seed-0/          a run directory, as `lukasa train --seed 0` writes it
    RUN/plots/           what `lukasa plot` drew of all seeds
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lukasa.ground.files import all_or_none, write_text
from lukasa.ground.mistakes import UserError
from lukasa.launch.kinds.kind import Kind
from lukasa.launch.runs.directory import Run, create_run, open_run, plots_of
from lukasa.launch.runs.model_files import located

FORMAT = 1
FILE = "seeds.json"

OPTIONS: tuple[tuple[str, Any, Any, str], ...] = (
    ("seeds", str | None, None, "train so many seeds as one experiment, from --seed on; or those listed, as 0,3,7."),
    ("concurrent", int | None, None, "with --seeds: seeds that train at a time; as many as there are CPUs by default."),
)
"""Options of the command line beside the experiment: name, type, default, help."""


@dataclass(frozen=True)
class SeveralSeeds:
    """An experiment of several seeds.

    Attributes:
        path: its directory.
        kind: of training.
        folders: the name of each seed's run directory, by seed.
    """

    path: Path
    kind: str
    folders: Mapping[int, str]

    @property
    def plots(self) -> Path:
        """The folder of pictures of all seeds."""
        return self.path / "plots"

    def run(self, seed: int) -> Run:
        """The run of a seed."""
        return open_run(self.path / self.folders[seed])[0]

    def runs(self) -> list[tuple[Run, dict[str, Any]]]:
        """Every seed's run with its config, the first seed first; raises as ``open_run``."""
        return [open_run(self.path / folder) for folder in self.folders.values()]


def is_several(path: Path) -> bool:
    """Whether a directory is an experiment of several seeds."""
    return (path / FILE).is_file()


def open_several(path: Path) -> SeveralSeeds:
    """An experiment of several seeds that exists.

    Raises:
        UserError: there is none, or its file is broken.
    """
    if not is_several(path):
        raise UserError(f"{path} is not an experiment of several seeds: it has no {FILE}")
    try:
        found = json.loads((path / FILE).read_text())
        if found["format"] != FORMAT:
            raise UserError(f"{path} was written by another version of lukasa: use that one")
        if not isinstance(found["kind"], str) or not found["runs"]:
            raise ValueError
        return SeveralSeeds(path, found["kind"], {int(one["seed"]): str(one["folder"]) for one in found["runs"]})
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path / FILE} is corrupt: it does not name the runs of the seeds") from None


def open_group(path: Path) -> list[tuple[Run, dict[str, Any]]]:
    """The run of a directory, or the runs of all seeds of an experiment; with their configs.

    Raises:
        UserError: there is neither, or a file is broken.
    """
    return open_several(path).runs() if is_several(path) else [open_run(path)]


@dataclass(frozen=True)
class Compared:
    """What is drawn or compared as one: a run, or an experiment of several seeds.

    Attributes:
        path: its directory.
        kind: of training.
        runs: every seed's run with its experiment.
    """

    path: Path
    kind: Kind[Any]
    runs: Sequence[tuple[Run, Any]]

    @property
    def experiment(self) -> Any:
        """What was asked, of the first seed."""
        return self.runs[0][1]

    @property
    def seeds(self) -> list[int]:
        """All of them."""
        return [experiment.seed for _, experiment in self.runs]

    @property
    def plots(self) -> Path:
        """The folder of pictures."""
        return plots_of(self.path)


def open_compared(words: Sequence[str], kind_of: Callable[[str], Kind[Any]], purpose: str) -> list[Compared]:
    """The runs and experiments that a command line names.

    Args:
        words: their directories.
        kind_of: from the name of a kind to the kind.
        purpose: what to do with those of one kind at a time, for the message.

    Raises:
        UserError: there is no such run, one is named twice, or they are of several kinds.
    """
    paths = [located(Path(word)) for word in words]
    opened = [open_group(path) for path in paths]
    models = [path for path in paths if path.is_file()]
    if models and (len(paths) > 1 or purpose not in ("draw", "view")):
        named = words[paths.index(models[0])]
        instead = ", or draw it alone" if purpose == "draw" else ""
        raise UserError(f"{named} is a model without its metrics: {purpose} run directories{instead}")
    if len({path.resolve() for path in paths}) < len(paths):
        raise UserError(f"a run is named twice among {', '.join(words)}: name each once")
    kinds = list(dict.fromkeys(config["kind"] for group in opened for _, config in group))
    if len(kinds) > 1:
        raise UserError(f"these runs are of {len(kinds)} kinds ({', '.join(kinds)}): {purpose} those of one at a time")
    kind = kind_of(kinds[0])
    return [
        Compared(path, kind, [(run, kind.experiments.from_json(config["experiment"])) for run, config in group])
        for path, group in zip(paths, opened, strict=True)
    ]


def create_several(path: Path, kind: str, configs: Mapping[int, Mapping[str, Any]]) -> SeveralSeeds:
    """Make the directory of an experiment with an empty run for every seed, or add seeds to one that exists.

    Args:
        path: its directory.
        kind: of training.
        configs: the ``config.json`` of each new seed.

    Raises:
        UserError: the directory holds something else, or cannot be written.
    """
    before = open_several(path).folders if is_several(path) else {}
    if not before and path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UserError(f"--out {path} is not an empty folder: choose one that does not exist yet")
    folders = {seed: f"seed-{seed}" for seed in configs}
    several = SeveralSeeds(path, kind, {**before, **folders})
    named = [{"seed": seed, "folder": folder} for seed, folder in several.folders.items()]
    with all_or_none(path) as made:
        for seed, config in configs.items():
            made.append(create_run(path / folders[seed], config).path)
        # Last: an experiment that has this file is whole.
        write_text(path / FILE, json.dumps({"format": FORMAT, "kind": kind, "runs": named}, indent=1) + "\n")
    return several


def asked_seeds(options: Any, several: SeveralSeeds | None) -> tuple[int, ...] | None:
    """The seeds of an experiment of several, those that are there first; None for a run of one.

    Raises:
        UserError: an option has no place there.
    """
    if options.seeds is None and several is None:
        if options.concurrent is not None:
            raise UserError("--concurrent says how many seeds train at a time: it needs --seeds")
        return None
    if options.resume and several is None:
        raise UserError(f"run {options.out} is of one seed: leave --seeds out, or choose another --out for several")
    for name in ("checkpoint", "sync"):
        if getattr(options, name) is not None:
            raise UserError(f"--{name} is for a run of one seed: leave it out, or give one seed's folder as --out")
    there = tuple(several.folders) if several else ()
    asked = () if options.seeds is None else read_seeds(options.seeds, there[0] if there else options.seed)
    return (*there, *(seed for seed in asked if seed not in there))


def read_seeds(text: str, first: int) -> list[int]:
    """The seeds that ``--seeds`` asks for: so many from the first on, or those listed.

    Raises:
        UserError: they cannot be read.

    Example:
        >>> read_seeds("3", first=5)
        [5, 6, 7]
        >>> read_seeds("0,3,7", first=0)
        [0, 3, 7]
    """
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() for word in words):
        raise UserError(f"option --seeds is {text!r}: expected how many, such as 5, or a list, such as 0,3,7")
    numbers = [int(word) for word in words]
    if len(numbers) == 1:
        if numbers[0] < 1:
            raise UserError(f"option --seeds is {text}: expected at least 1")
        return list(range(first, first + numbers[0]))
    if len(set(numbers)) < len(numbers):
        raise UserError(f"option --seeds is {text}: expected every seed once")
    return numbers


def counted_seeds(seeds: Sequence[int]) -> str:
    """How many seeds, and which.

    Example:
        >>> counted_seeds([0, 1, 2]), counted_seeds([4, 7]), counted_seeds([3])
        ('3 seeds (0 to 2)', '2 seeds (4, 7)', '1 seed (3)')
    """
    number = f"{len(seeds)} seed{'s' if len(seeds) != 1 else ''}"
    in_a_row = len(seeds) > 2 and list(seeds) == list(range(seeds[0], seeds[0] + len(seeds)))
    return f"{number} ({f'{seeds[0]} to {seeds[-1]}' if in_a_row else ', '.join(map(str, seeds))})"
