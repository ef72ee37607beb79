"""``lukasa tune``: several values of the fields of a recipe."""
