"""Options of the command line: what there is, how words are read, and the help."""
