"""Supervised tasks on sequences."""
