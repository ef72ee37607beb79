"""``lukasa ask``: tells a trained reader a story, and asks it questions, on a terminal or through a pipe."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lukasa.ground.mistakes import UserError
from lukasa.launch.kinds.table import kind_of
from lukasa.launch.options.fields import Switch, split_words
from lukasa.launch.options.parsing import parse
from lukasa.launch.runs.directory import open_run

if TYPE_CHECKING:
    from lukasa.agents.questions import Answer, Answerer

HOW = "Type a story, a sentence a line, and questions that end in '?'. An empty line begins a new story; ctrl-D ends."
SPEAKERS, FACT = ("<user>", "<bot>"), "<fact>"
"""First words of what was said, in a dialog, and of what a search found: there every other line is the user's turn."""
LOOKED_AT = 0.1
"""Least weight of a sentence that is said to have been read."""


@dataclass(frozen=True)
class AskOptions:
    """Tell a trained reader a story and ask it questions; typed, or piped in.

    Attributes:
        task: whose reader answers, where the run has one for each task.
        checkpoint: which readers: best, last, or a name.
        json: print one JSON object a question.
    """

    task: int | None = None
    checkpoint: str = "best"
    json: Switch = False


def main(argv: Sequence[str]) -> int:
    """Answer until the input ends; returns the exit code, 2 where a piped line could not be used."""
    words, rest = split_words(argv)
    if len(words) != 1 and not {"-h", "--help"} & set(rest):
        raise UserError("lukasa ask takes one run directory: lukasa ask RUN")
    options = parse(AskOptions, rest, prog="lukasa ask RUN")
    run, config = open_run(Path(words[0]))
    if config["kind"] != "questions":
        raise UserError(f"run {run.path} is of kind {config['kind']!r}: only runs of `lukasa train questions` answer")
    from lukasa.launch.kinds.questions.evaluation import load_answerer

    experiment = kind_of("questions").experiments.from_json(config["experiment"])
    answerer = load_answerer(run, experiment, options.checkpoint, options.task)
    typed = sys.stdin.isatty()
    if typed:
        print(HOW, file=sys.stderr)
    try:
        return converse(answerer, sys.stdin, as_json=options.json, typed=typed)
    except UnicodeDecodeError as fault:
        told = f"byte {fault.object[fault.start]:#04x}"
        raise UserError(f"what is told is not text in {fault.encoding.upper()} ({told}): pipe in plain text") from None


def converse(answerer: Answerer, lines: Any, *, as_json: bool, typed: bool) -> int:
    """Hear lines and answer the questions among them.

    Args:
        answerer: with the reader.
        lines: of text.
        as_json: whether answers are printed as JSON.
        typed: whether somebody sits there, who can mend a mistake; the first one ends it otherwise.
    """
    in_dialog = set(SPEAKERS) <= set(answerer.vocabulary.words)
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text:
            answerer.reset()
            continue
        try:
            if text.endswith("?") or (in_dialog and not text.startswith(FACT)):
                answer = answerer.ask(text)
                print(json.dumps(as_dict(answer, answerer)) if as_json else written(answer, answerer), flush=True)
                if in_dialog:
                    for speaker, said in zip(SPEAKERS, (text, answer.text), strict=True):
                        answerer.tell(f"{speaker} {said}")
            else:
                answerer.tell(text)
                if len(answerer.story) == answerer.reader.sizes.sentences + 1:
                    held = answerer.reader.sizes.sentences
                    print(f"note: this reader holds {held} sentences: of this story, the last ones", file=sys.stderr)
        except ValueError as mistake:
            where = "" if typed else f"line {number}: "
            print(f"lukasa: {where}{mistake}", file=sys.stderr, flush=True)
            if not typed:
                return 2
    return 0


def written(answer: Answer, answerer: Answerer) -> str:
    """An answer for people, with the sentences that each hop looked at.

    Args:
        answer: what the reader says.
        answerer: what was told.
    """
    others = ", ".join(f"{text} {share:.0%}" for text, share in answer.others if share >= 0.01)
    lines = [f"{answer.text}  ({answer.probability:.0%}{f'; {others}' if others else ''})"]
    for hop, looked in enumerate(answer.attention, 1):
        read = [(place, weight) for place, weight in looked if weight >= LOOKED_AT][:3]
        told = "; ".join(f"{weight:.0%} {' '.join(answerer.story[place])}" for place, weight in read)
        lines.append(f"  hop {hop}: {told or 'no sentence more than others'}")
    return "\n".join(lines)


def as_dict(answer: Answer, answerer: Answerer) -> dict[str, Any]:
    """An answer as ``--json`` prints it."""
    return {
        "answer": answer.text,
        "probability": answer.probability,
        "others": [{"answer": text, "probability": share} for text, share in answer.others],
        "hops": [
            [
                {"sentence": place + 1, "text": " ".join(answerer.story[place]), "weight": weight}
                for place, weight in one
            ]
            for one in answer.attention
        ],
    }
