"""``python -m lukasa.launch`` is the command ``lukasa``."""

import sys

from lukasa.launch.cli import main

if __name__ == "__main__":
    sys.exit(main())
