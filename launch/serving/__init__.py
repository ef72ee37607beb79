"""Agents out of their files: played in an environment, and served over HTTP."""
