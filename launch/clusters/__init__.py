"""Cluster files, and the end of what runs on a machine."""
