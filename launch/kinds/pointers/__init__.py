"""Pointers at points."""
