"""Learning from what was sampled long ago: replay of sequences for any core, and the algorithms that use it."""
