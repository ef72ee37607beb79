"""What ``lukasa bench runners`` found, as a page and on the screen, and where it leads with more runners.

The model has four limits, each with the numbers that were measured on this machine:

- runners: each samples as many steps a second as it does while it samples, s; n of them n s;
- the learner: as many steps a second as it learns from while it learns, l. PPO's runners stand still meanwhile, so that
  its speed is the harmonic sum, 1 / (1 / n s + 1 / l); APPO's and IMPALA's do not, so that it is the smaller of both;
- the driver: as many as it makes batches of while it makes batches, beside the learner; PPO's learner does that itself;
- the network: bytes of each step to the process that learns, on a link of ``LINK``.
"""

from __future__ import annotations

import math
from typing import Any

from lukasa.launch.options.described import described

Numbers = dict[str, Any]
COUNTS = (16, 128, 1024)
LINK = 1.25e9
"""Bytes a second of a link of 10 Gbit/s."""


def rates(row: Numbers) -> Numbers:
    """Steps a second of one runner while it samples, of the learner while it learns, of the driver while it batches."""
    speed = row["steps_per_second"]
    busy = {
        "runner": (1 - row["runner_wait"]) * max(1, row["runners"]),
        "learner": 1 - row["learner_wait"],
        "driver": row["driver_batching"],
    }
    return {name: speed / share if share > 0 else math.inf for name, share in busy.items()}


def predicted(algorithm: str, each: Numbers, bytes_per_step: float, runners: int) -> Numbers:
    """The speed with so many runners, each with a core of its own, and what limits it.

    Args:
        algorithm: whose runners wait for its learner, unless it is asynchronous.
        each: what ``rates`` gave.
        bytes_per_step: that a runner sends.
        runners: how many.
    """
    limits = {
        "runners": each["runner"] * runners,
        "learner": each["learner"],
        "driver": each["driver"],
        "network": LINK / bytes_per_step,
    }
    speed = min(limits.values())
    if not described("algorithms", "algorithm", algorithm)["asynchronous"]:
        speed = min(1 / (1 / limits["runners"] + 1 / limits["learner"]), limits["network"])
    return {
        "steps_per_second": speed,
        "limit": min(limits, key=lambda name: limits[name]),
        "megabytes_per_second": speed * bytes_per_step / 1e6,
        "runner_wait": max(0.0, 1 - speed / limits["runners"]),
    }


def page(result: Numbers) -> str:
    """The page in Markdown, with what the numbers mean for more runners."""
    versions = result["versions"]
    named = ", ".join(f"{name} {versions[name]}" for name in ("python", "torch", "ray"))
    return (
        f"# Steps a second with more runners\n\nCommit {result['commit']}. {result['cores']} CPU cores, {named}.\n\n"
        f"{measurements(result)}\n## On paper: many runners\n\n{predictions(result)}"
    )


def measurements(result: Numbers) -> str:
    """What was measured."""
    asked, shipped = result["experiment"], result["shipped"]
    lines = [
        f"`{asked['recipe']}`, {asked['seconds']:g} s each after the first iterations, median of {asked['repeats']}. "
        "Waiting is the share of time in which a process neither samples nor learns; with APPO and IMPALA the driver "
        "makes batches while the learner learns.",
        "",
        "| algorithm | runners | steps/s | lowest to highest | runner waits | learner waits | driver batches |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for row in result["rows"]:
        lines.append(
            f"| {row['algorithm']} | {row['runners'] or 'in the learner'} | {row['steps_per_second']:,.0f} | "
            f"{row['low']:,.0f} to {row['high']:,.0f} | {row['runner_wait']:.0%} | {row['learner_wait']:.0%} | "
            f"{row['driver_batching']:.0%} |"
        )
    sent = f"A runner sends {shipped['bytes_per_step']:,.0f} bytes a step; the weights it is sent take"
    return "\n".join([*lines, "", f"{sent} {shipped['weight_bytes']:,} bytes."]) + "\n"


def predictions(result: Numbers) -> str:
    """Where it saturates, and what limits it then."""
    bytes_per_step = result["shipped"]["bytes_per_step"]
    lines = [
        "Each part as fast as it was measured to be while it works, every runner on a core of its own: n runners "
        "sample n times as fast; the learner and the driver stay one each; the link to the learner carries 10 Gbit/s. "
        "With PPO runners and learner take turns, so that their times add up; with APPO and IMPALA the slowest part "
        "decides. The last column: runners that sample as fast as the rest can take it.",
        "",
        "| algorithm | measured with | runner samples, steps/s | learner learns | driver batches | as fast with |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    measured = [row for row in result["rows"] if row["runners"]]
    for row in measured:
        each = rates(row)
        rest = min(each["learner"], each["driver"], LINK / bytes_per_step)
        lines.append(
            f"| {row['algorithm']} | {row['runners']} | {each['runner']:,.0f} | {each['learner']:,.0f} | "
            f"{_speed(each['driver'])} | {rest / each['runner']:,.1f} runners |"
        )
    lines += [
        "",
        "| algorithm | measured with | runners | predicted steps/s | limit | runner waits | MB/s to the learner |",
        "|---|--:|--:|--:|---|--:|--:|",
    ]
    for row in measured:
        for count in COUNTS:
            found = predicted(row["algorithm"], rates(row), bytes_per_step, count)
            lines.append(
                f"| {row['algorithm']} | {row['runners']} | {count:,} | {found['steps_per_second']:,.0f} | "
                f"{found['limit']} | {found['runner_wait']:.0%} | {found['megabytes_per_second']:,.1f} |"
            )
    return "\n".join([*lines, "", *_reading(measured, bytes_per_step)]) + "\n"


def _reading(measured: list[Numbers], bytes_per_step: float) -> list[str]:
    """One sentence for each algorithm, from the measurement with the most runners."""
    last = {row["algorithm"]: row for row in measured}
    told: list[str] = []
    if not last:
        return told
    for algorithm, row in last.items():
        found = {count: predicted(algorithm, rates(row), bytes_per_step, count) for count in COUNTS}
        limits = ", ".join(f"{count:,} runners: the {one['limit']}" for count, one in found.items())
        gain = found[COUNTS[-1]]["steps_per_second"] / row["steps_per_second"]
        told.append(
            f"- {algorithm}: what limits it at {limits}. {COUNTS[-1]:,} runners are {gain:.1f} times as fast as "
            f"{row['runners']}."
        )
    fastest = max(
        predicted(row["algorithm"], rates(row), bytes_per_step, COUNTS[-1])["steps_per_second"] for row in measured
    )
    share = fastest * bytes_per_step / LINK
    told.append(
        f"- The network would carry {LINK / bytes_per_step:,.0f} steps a second; the fastest takes {share:.2%} of it."
    )
    return told


def _speed(steps: float) -> str:
    return f"{steps:,.0f}" if math.isfinite(steps) else "with the learner"


def show(result: Numbers) -> None:
    """Print the page."""
    print(page(result))
