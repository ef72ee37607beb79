"""Ray: sessions, where a run computes, and memories in shards."""
