"""What everything else rests on, in plain Python and NumPy: names, mistakes, files, statistics, registries."""
