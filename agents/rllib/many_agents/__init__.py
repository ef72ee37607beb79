"""Several agents in one environment, each with a memory of its own."""
