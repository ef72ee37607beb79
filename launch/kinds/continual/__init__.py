"""Learning tasks one after the other."""
