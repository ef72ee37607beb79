"""``python -m tests.cluster_loopback [SUBMITS]``: time the scenario, as root; prints the rows of a results page."""

import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from tests.cluster_loopback.scenario import play


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="loopback-"))
    try:
        seen = play(folder, int(sys.argv[1]) if len(sys.argv) > 1 else 3)
    finally:
        if not (folder / "logs").exists():
            shutil.rmtree(folder)
    firsts, wholes = [one.first for one in seen.submits], [one.whole for one in seen.submits]
    rows = {
        "ray up": [seen.up],
        "from its end until both machines are known": [seen.workers],
        "ray submit to the first training result": firsts,
        "of that, training by the run's own clock": seen.trained,
        "ray submit until it ends": wholes,
        "ray job submit until it ends": [seen.job],
    }
    print("| what | seconds, median | each |\n|---|---|---|")
    for what, seconds in rows.items():
        print(f"| {what} | {statistics.median(seconds):.1f} | {', '.join(f'{one:.1f}' for one in seconds)} |")
    print(f"\nload average {seen.load[0]:.1f} at the start, {seen.load[1]:.1f} at the end")
    print(f"refused without the token: {'InvalidAuthToken' in seen.without_token}; left: {seen.left}")


if __name__ == "__main__":
    main()
