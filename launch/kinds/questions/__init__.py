"""Questions about stored stories."""
