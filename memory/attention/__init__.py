"""Attention over a cached window of one's own past, as a core and as the controller of other cores."""
