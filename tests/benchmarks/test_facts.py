"""``lukasa bench facts``: what it measures on a small world, and what it refuses."""

import json

import pytest
import torch

from lukasa.benchmarks.facts import hashed
from lukasa.launch.cli import main
from lukasa.tasks.questions.films import FilmQuestions
from tests.launch.refusals import fails


def test_quick_benchmark_prints_hits_and_times(tmp_path, capsys):
    assert main(["bench", "facts", "--quick", "--out", str(tmp_path / "facts.json")]) == 0
    printed = capsys.readouterr().out
    [row] = json.loads((tmp_path / "facts.json").read_text())
    for name, title in (("faiss", "FAISS"), ("exact", "exact search"), ("hashing", "key hashing")):
        assert row["before"] < row[name]["hits"] <= row[name]["read"] <= 100
        assert 0 < row[name]["low"] <= row[name]["ms"]
        assert f"| {row['facts']:,} | {title} | {row[name]['hits']:.1f} |" in printed
    assert row["facts"] == 988


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--facts many", "option --facts is 'many': expected whole numbers such as 1000,1000000"),
        ("--facts 10,1000", "option --facts is 10: expected at least 100"),
        ("--hops 3", "option --hops is 3: expected 1 or 2"),
        ("--read 30", "option --read is 30: expected a multiple of 8"),
        ("--steps 0", "option --steps is 0: expected at least 1"),
    ],
)
def test_what_cannot_be_used_is_refused(words, sentence, capsys):
    assert sentence in fails(capsys, "bench", "facts", *words.split())


def test_key_hashing_finds_the_facts_of_the_story():
    some = FilmQuestions(facts=500, questions=100).load("test", [1])
    rows = torch.arange(len(some))
    places, asked = hashed(some, rows), some.take(rows)
    for row, count in enumerate(asked.sentences.tolist()):
        assert some.lines[places[row, :count]].equal(asked.story[row, :count])
        assert (places[row, count:] == -1).all()
