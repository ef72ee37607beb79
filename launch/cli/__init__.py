"""The command ``lukasa``."""
