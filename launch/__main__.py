"""``python -m launch`` is the command ``lukasa``."""

import sys

from launch.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
