"""``lukasa train``, the same for every kind."""
