"""Learners that train memory cores."""
