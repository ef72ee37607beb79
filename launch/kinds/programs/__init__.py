"""Programs that are learned from execution traces: the kind ``programs``."""
