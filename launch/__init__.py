"""The command line, recipes and run directories."""
