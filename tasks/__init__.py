"""Supervised tasks and few-shot episodes, on torch and numpy alone."""
