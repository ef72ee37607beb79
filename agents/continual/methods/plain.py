"""Floor and ceiling: no care for earlier tasks, and all tasks at once."""

from __future__ import annotations

from lukasa.agents.continual.methods.method import Method


class FineTuning(Method):
    """Learns each task as if there had been none before: the floor."""


class Joint(Method):
    """Sees examples of all tasks at all times, which no stream allows: the ceiling."""

    sees_all = True
