"""Run directories: settings, metrics, checkpoints, progress, and where they are kept."""
