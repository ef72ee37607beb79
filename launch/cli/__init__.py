"""The command ``lukasa``."""

from launch.cli.command import main

__all__ = ["main"]
