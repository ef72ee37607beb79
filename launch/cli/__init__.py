"""The command ``lukasa``."""

from lukasa.launch.cli.command import main

__all__ = ["main"]
