"""Curricula over the length of inputs, as ``lukasa train rl`` runs them."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from lukasa import envs
from lukasa.ground.mistakes import UserError
from lukasa.launch.cli import main
from lukasa.launch.kinds.rl.experiment import RLExperiment
from lukasa.launch.kinds.rl.growth import Growth, grow
from lukasa.launch.runs.directory import open_run, read_metrics

TAPE = RLExperiment(env="TapeCopy-L10-v0", env_settings={"length": 3}, curriculum_from=1)
WORDS = [
    *["train", "rl", "--algorithm", "reinforce", "--env", "TapeCopy-L10-v0", "--env-settings", "length", "2"],
    *["symbols", "2", "--core", "gru", "--memory.size", "16", "--embedding", "8", "--output", "8"],
    *["--envs-per-runner", "8", "--batch-size", "256", "--lr", "0.02", "--ablation", "0"],
    *["--curriculum-from", "1", "--curriculum-mastery", "0.4", "--out", "run"],
]


def test_inputs_grow_once_a_hundred_episodes_are_mastered():
    growth = Growth(TAPE)
    assert not growth.look([1.0] * 99)
    assert growth.look([1.0])
    assert (growth.length, growth.is_full) == (2, False)
    assert not growth.look([0.0] * 21 + [1.0] * 79)
    assert growth.look([1.0])  # the oldest failures are forgotten one by one
    assert (growth.length, growth.is_full) == (3, True)
    assert not growth.look([1.0] * 200)


def test_growth_goes_on_where_it_was():
    growth, other = Growth(TAPE), Growth(TAPE)
    growth.look([1.0] * 150)
    growth.look([1.0] * 60)
    other.restore(growth.state())
    assert other.length == growth.length == 2
    assert not other.look([0.0] * 20 + [1.0] * 19)
    assert other.look([1.0])


@pytest.mark.parametrize(
    "make",
    [
        envs.make_vec,
        lambda env_id, copies: SimpleNamespace(
            unwrapped=SimpleNamespace(envs=[envs.make(env_id) for _ in range(copies)])
        ),
    ],
    ids=["one program", "one by one"],
)
def test_every_copy_of_a_runner_hears_of_it(make):
    env = make("TapeCopy-L10-v0", 3)
    grow(SimpleNamespace(env=env), 4)
    for one in getattr(env.unwrapped, "envs", [env]):
        assert one.unwrapped.machines.longest == 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"env": "TMaze-L10-v0", "env_settings": {}}, "'TMaze-L10-v0' has none"),
        ({"curriculum_from": 4}, "option --curriculum-from: .*expected a whole number from 1 to 3"),
        ({"curriculum_mastery": 1.5}, "option --curriculum-mastery is 1.5: expected more than 0 and at most 1"),
    ],
    ids=str,
)
def test_what_cannot_grow_is_refused(changes, message):
    with pytest.raises(UserError, match=message):
        Growth(replace(TAPE, **changes))


@pytest.mark.slow
def test_a_run_grows_and_is_resumed_at_its_length(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([*WORDS, "--steps", "12000", "--stop-at", "0.9"]) == 0
    run, _ = open_run(tmp_path / "run")
    rows = read_metrics(run)
    lengths = [row["input_length"] for row in rows]
    assert (lengths[0], lengths[-1]) == (1, 2)
    assert lengths == sorted(lengths)
    assert main(["train", "rl", "--out", "run", "--resume", "--steps", "13000", "--stop-at", "2"]) == 0
    assert {row["input_length"] for row in read_metrics(run)[len(rows) :]} == {2}
    assert main(["plot", "run"]) == 0
    assert (tmp_path / "run/plots/episode.png").stat().st_size > 10_000
