"""The command ``lukasa``: finds the command asked for and reports mistakes in one sentence."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

from lukasa.ground.mistakes import UserError
from lukasa.ground.names import nearest
from lukasa.launch.kinds.table import KINDS, is_kind
from lukasa.launch.options.program import faults, one_line, plain_notes, refused_by_disk

COMMANDS = {
    "tune": (
        "lukasa.launch.sweeps.tune",
        "train a recipe with several values of its fields; those that fall behind are stopped",
    ),
    "eval": ("lukasa.launch.cli.evaluate", "how good a trained agent or core is, on fresh episodes or sequences"),
    "plot": (
        "lukasa.launch.cli.plot",
        "draw the learning curve, and what the memory does over an episode or a sequence",
    ),
    "view": (
        "lukasa.launch.cli.view",
        "write a page to step through an episode or a sequence: the memory, what it saw, what it did",
    ),
    "export": ("lukasa.launch.cli.export", "write a trained agent to one file that plays without Ray, or as ONNX"),
    "play": ("lukasa.launch.cli.play", "play episodes with an agent out of its file, or with one that is served"),
    "serve": ("lukasa.launch.cli.serve", "serve an agent out of its file over HTTP, with a session for each player"),
    "ask": ("lukasa.launch.cli.ask", "tell a trained reader a story, and ask it questions about it"),
    "compare": (
        "lukasa.launch.comparing.compare",
        "a table and a picture of several runs: scores, steps, seconds, and what differs",
    ),
    "reproduce": (
        "lukasa.launch.campaigns.claims.reproduce",
        "run the claims of papers again, and write a page that says which are reached",
    ),
    "popgym": (
        "lukasa.launch.campaigns.popgym.command",
        "train agents on POPGym, and write one table of returns beside published ones",
    ),
    "list": ("lukasa.launch.cli.listing", "what there is: cores, tasks, environments, recipes"),
    "fetch": ("lukasa.launch.cli.fetch", "make a run directory of a run that was trained with --sync"),
    "check-cluster": (
        "lukasa.launch.clusters.checking",
        "check a cluster file of `ray up` or KubeRay before it costs anything",
    ),
    "bench": (
        "lukasa.launch.cli.bench",
        "measure: the sparse memory, whole or in shards, the dense cores, states, runners",
    ),
}
"""Every command but ``train``, which needs a kind: the module whose ``main(argv)`` runs it, imported only then, and one
line of help."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: the words after ``lukasa``; those of this process when None.

    Returns:
        The exit code: 0 success, 1 a failure while training or playing, 2 misuse, 130 and 143 stopped by SIGINT and
        SIGTERM.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help", "help"):
        print(usage(), file=sys.stdout if words else sys.stderr)
        return 0 if words else 2
    if words[0] == "--version":
        from importlib.metadata import version

        print(f"lukasa {version('lukasa')}")
        return 0
    _find_own_modules()
    plain_notes()
    try:
        module, rest = find_command(words)
        return importlib.import_module(module).main(rest)
    except BrokenPipeError:
        # The reader of our output has gone, as in `lukasa list | head`; Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        said = refused_by_disk(error)
        if not said:
            raise
        print(f"lukasa: {one_line(said)}", file=sys.stderr)
        return 1
    except Exception as error:
        if not isinstance(error, (UserError, *faults())):
            raise
        print(f"lukasa: {one_line(error)}", file=sys.stderr)
        return 1 if isinstance(error, faults()) else 2
    except KeyboardInterrupt:
        return 130


def _find_own_modules() -> None:
    """Let environments and cores of one's own be imported from the working folder; Ray lets its workers do so too.

    Last of all places: a folder of a user must not hide a package that this program needs.
    """
    here = os.getcwd()
    if not {here, ""} & set(sys.path):
        sys.path.append(here)


def find_command(words: Sequence[str]) -> tuple[str, list[str]]:
    """The module that runs a command line, and the words left for it.

    Raises:
        UserError: there is no such command.
    """
    if words[0] == "train":
        kinds = " or ".join(f"train {name}" for name in KINDS)
        if len(words) == 1 or words[1].startswith("-"):
            raise UserError(f"train needs to know what: {kinds}")
        if not is_kind(words[1]):
            raise UserError(f"unknown command 'train {words[1]}': {nearest(words[1], KINDS)}")
        return "lukasa.launch.training.command", list(words[1:])
    if words[0] in COMMANDS:
        return COMMANDS[words[0]][0], list(words[1:])
    raise UserError(f"unknown command {words[0]!r}: {nearest(words[0], ['train', *COMMANDS])}")


def usage() -> str:
    """The help of ``lukasa`` itself."""
    commands = {f"train {name}": entry.summary for name, entry in KINDS.items()}
    commands |= {name: text for name, (_, text) in COMMANDS.items()}
    width = max(map(len, commands))
    lines = "\n".join(f"  lukasa {name:<{width}}  {text}" for name, text in commands.items())
    return f"Agents with external memory.\n\n{lines}\n\nlukasa COMMAND --help lists the options of a command."
