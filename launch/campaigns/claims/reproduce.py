"""``lukasa reproduce``: runs the claims of papers again, and judges them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lukasa.ground.mistakes import UserError
from lukasa.ground.names import nearest
from lukasa.launch.campaigns.claims.claim import Claim, quick_form
from lukasa.launch.campaigns.claims.table import CLAIMS
from lukasa.launch.campaigns.claims.verdicts import Verdict, as_json, judge
from lukasa.launch.campaigns.records import Folder
from lukasa.launch.options.bounds import check_least
from lukasa.launch.options.fields import Switch, split_words
from lukasa.launch.options.help import Page
from lukasa.launch.options.parsing import parse

EXAMPLES = (
    ("lukasa reproduce --quick", "a smaller form of nine claims, minutes each"),
    ("lukasa reproduce copy hindsight --budget 30", "two claims for half an hour; the same command goes on"),
    ("lukasa reproduce --report", "the pages anew, from what was run"),
)


@dataclass(frozen=True)
class ReproduceOptions:
    """Train and score what the claims of papers need, and write a page that says which are reached.

    Attributes:
        budget: minutes of training; what is not finished then is saved, scored as it is, and goes on the next time.
        quick: take the smaller form of claims that have one.
        seeds: train this number of seeds of every model instead of those of the claims.
        concurrent: runs at a time; as many as there are CPUs by default.
        out: folder of records and runs; the summary is written beside it. By default ladder, or ladder-quick.
        report: train nothing, and write the pages from what was run.
        strict: exit with 1 where a claim that was asked for is not reached.
        json: print one JSON object instead of a table.
    """

    budget: float | None = None
    quick: Switch = False
    seeds: int | None = None
    concurrent: int | None = None
    out: str | None = None
    report: Switch = False
    strict: Switch = False
    json: Switch = False


def main(argv: Sequence[str]) -> int:
    """Run what is missing of the claims that are named, or of all, and write the pages; returns the exit code."""
    words, rest = split_words(argv)
    page = Page("lukasa reproduce [CLAIM ...]", (ReproduceOptions.__doc__ or "").partition("\n")[0], EXAMPLES)
    options = parse(ReproduceOptions, rest, prog=page.prog, page=lambda: page)
    claims = asked_claims(words, options)
    out = Path(options.out or ("ladder-quick" if options.quick else "ladder"))
    folder = Folder(out)
    code = 0
    if not options.report:
        from lukasa.launch.campaigns.jobs import run_campaign

        jobs = [job for claim in claims if _can_run(claim) for job in claim.jobs()]
        code = run_campaign(folder, jobs, at_once=options.concurrent, minutes=options.budget)
    table = _forms(options) if not words else {claim.name: claim for claim in claims}
    verdicts = [judge(claim, folder) for claim in table.values()]
    from lukasa.launch.campaigns.claims.ladder import write_pages

    pages = write_pages(out, verdicts)
    asked = [verdict for verdict in verdicts if verdict.claim.name in {claim.name for claim in claims}]
    _show(asked, pages, as_object=options.json)
    if code > 1:
        print("stopped; the same command goes on", file=sys.stderr)
    return code or int(options.strict and any(verdict.word != "reached" for verdict in asked))


def asked_claims(words: Sequence[str], options: ReproduceOptions) -> list[Claim]:
    """The claims that a command line names; all of them where it names none.

    Raises:
        UserError: there is no such claim, or a number is too small.
    """
    check_least(options, seeds=1, concurrent=1, budget=0)
    known = _forms(options)
    for word in words:
        if word not in CLAIMS:
            raise UserError(f"there is no claim {word!r}: {nearest(word, CLAIMS)}")
        if word not in known:
            raise UserError(f"claim {word!r} has no quick form: leave --quick out, or choose of {', '.join(known)}")
    return [known[word] for word in dict.fromkeys(words)] or list(known.values())


def _forms(options: ReproduceOptions) -> Mapping[str, Claim]:
    """The claims as the options ask for them."""
    claims = CLAIMS
    if options.quick:
        claims = {name: quick_form(claim) for name, claim in claims.items() if claim.quick}
    if options.seeds is not None:
        claims = {name: replace(claim, seeds=tuple(range(options.seeds))) for name, claim in claims.items()}
    return claims


def _can_run(claim: Claim) -> bool:
    """Whether the data that a claim reads is there; says so where it is not."""
    if not claim.needs_data or os.environ.get("LUKASA_DATA"):
        return True
    print(f"{claim.name}: not run, it reads real files: set LUKASA_DATA to the folder that holds them", file=sys.stderr)
    return False


def _show(verdicts: Sequence[Verdict], pages: Sequence[Path], *, as_object: bool) -> None:
    if as_object:
        print(json.dumps({"claims": [as_json(one) for one in verdicts], "pages": [str(page) for page in pages]}))
        return
    width = max(len(verdict.claim.name) for verdict in verdicts)
    for verdict in verdicts:
        print(f"{verdict.claim.name:<{width}}  {verdict.told}")
    for page in pages:
        print(page)
