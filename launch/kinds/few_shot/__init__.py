"""Few-shot episodes of support and queries."""
