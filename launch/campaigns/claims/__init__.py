"""The claims of papers as data, and the command that runs and judges them."""
