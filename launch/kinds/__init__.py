"""Kinds of training: what each is asked, and what trains, evaluates and draws it."""
