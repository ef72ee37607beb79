"""One page to step through an episode or a sequence: what is on it as data, and what writes it."""
