"""Several runs, or several seeds of one, side by side."""
