"""A campaign on POPGym: what is asked, what is in its table, and that it trains."""

import doctest
import importlib.util
import json
import os
import statistics

import pytest

from lukasa import envs
from lukasa.launch.campaigns.popgym import agents, command, table
from lukasa.launch.campaigns.popgym.agents import (
    AGENTS,
    FAMILIES,
    LEVELS,
    PERFECT,
    PUBLISHED,
    PUBLISHED_MEANS,
    RANDOM,
    env_id,
)
from lukasa.launch.campaigns.popgym.command import PopgymOptions, asked_cells
from lukasa.launch.campaigns.popgym.table import rows_of, table_lines, write_table
from lukasa.launch.campaigns.records import Folder, Record
from lukasa.launch.cli import main
from lukasa.launch.kinds.rl.kind import KIND
from lukasa.launch.training.requests import read_command_line
from lukasa.memory.baselines import GRU
from tests.launch.refusals import fails

NEEDS_POPGYM = pytest.mark.skipif(not importlib.util.find_spec("popgym"), reason="needs POPGym: pip install '.[envs]'")


def record(job, mean, best, *, finished=True):
    scored = {"evaluation": {"return_mean": mean}, "steps_scored": 100}
    return Record(job.name, job.asked, 100, 100, finished=finished, best=best, **scored)


@pytest.mark.parametrize("module", [agents, command, table])
def test_examples(module):
    assert doctest.testmod(module).failed == 0


def test_the_default_is_twelve_environments_seed_by_seed():
    cells = asked_cells([], PopgymOptions())
    assert len({cell.env for cell in cells}) == 12
    assert all([job.seed for job in cell.jobs] == [0, 1, 2] for cell in cells)
    names = [job.name for cell in cells for job in cell.jobs]
    assert len(set(names)) == len(names)


def test_all_is_every_environment_of_the_package():
    pytest.importorskip("popgym")
    import gymnasium as gym

    for name in FAMILIES:
        for level in LEVELS:
            assert env_id(name, level) in gym.registry or "Labyrinth" in name
    assert len({cell.env for cell in asked_cells(["all"], PopgymOptions(agents=("gru",)))}) == 48


@pytest.mark.parametrize("agent", AGENTS)
def test_agents_can_be_trained(agent):
    cell = asked_cells(["RepeatPreviousEasy"], PopgymOptions(agents=(agent,)))[0]
    asked = read_command_line("rl", cell.jobs[0].train[1:])
    KIND.experiments.check_numbers(asked.experiment)
    KIND.experiments.check_together(asked.experiment)
    assert asked.experiment.steps == 1_000_000
    assert agent in (PopgymOptions.__doc__ or "")


class Own(GRU):
    """A core of a user."""


def test_any_core_is_an_agent():
    cell = asked_cells(["RepeatPreviousEasy"], PopgymOptions(agents=("mingru", "tests.launch.test_popgym:Own")))
    assert cell[0].jobs[0].train[-4:] == ("--core", "mingru", "--steps", "1000000")
    assert cell[1].jobs[0].name == "RepeatPreviousEasy.tests.launch.test_popgym.Own.0"


@NEEDS_POPGYM
@pytest.mark.parametrize("family", RANDOM)
def test_random_returns_are_those_of_random_actions(family):
    for level, noted in zip(LEVELS, RANDOM[family], strict=True):
        env = envs.make(env_id(family, level))
        env.action_space.seed(0)
        returns = [100 * random_return(env, seed) for seed in range(100)]
        assert abs(statistics.fmean(returns) - noted) < 4 * statistics.stdev(returns) / 10


def random_return(env, seed):
    """What an episode of random actions earns."""
    env.reset(seed=seed)
    total, over = 0.0, False
    while not over:
        _, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        total, over = total + reward, terminated or truncated
    return total


def test_published_returns_are_of_environments_that_there_are():
    known = {f"{family}{level}" for family in FAMILIES for level in LEVELS}
    assert {name for found in PUBLISHED.values() for name in found} <= known
    assert PUBLISHED_MEANS.keys() <= PUBLISHED.keys()
    assert PERFECT.keys() < RANDOM.keys()


def test_published_means_stand_beside_the_whole_table_alone(tmp_path):
    options = PopgymOptions(agents=("gru",), seeds=1)
    folder = Folder(tmp_path / "table")
    assert table_lines(rows_of(asked_cells([], options), folder))[-1].endswith("|  |  | -24.2 | -5.1 |  |")
    assert "-24.2" not in table_lines(rows_of(asked_cells(["Autoencode"], options), folder))[-1]


def test_the_table_is_made_of_records(tmp_path):
    folder = Folder(tmp_path / "table")
    options = PopgymOptions(agents=("gru", "ntm_tape"), seeds=2)
    cells = asked_cells(["Autoencode"], options)
    for place, job in enumerate(cells[0].jobs):
        folder.write(job, record(job, (-0.5, 0.5)[place], 0.6))
    folder.write(cells[1].jobs[0], record(cells[1].jobs[0], 1.0, 1.0, finished=False))
    rows = rows_of(cells, folder)
    assert rows[0] == {
        "env": "popgym-AutoencodeEasy-v0",
        "agent": "gru",
        "seeds": 2,
        "return": 0.0,
        "interval": (-50.0, 50.0),
        "mmer": 60.0,
        "share": pytest.approx(100 * 50.5 / 150.5),
        "steps": 100,
        "finished": True,
    }
    assert rows[1]["share"] == pytest.approx(100)
    assert not rows[1]["finished"]
    assert rows[2]["return"] is None
    lines = table_lines(rows)
    assert lines[2] == "| AutoencodeEasy | -50.5 | 0.0 | 100.0* | -32.7 | 49.5 | 100.0 |"
    assert lines[-1] == "| mean of 3 | **-50.3** |  |  |  |  | **100.0** |"
    page, picture = write_table(folder.path, rows, steps=1_000_000, episodes=100)
    assert "100, to go on" in page.read_text()
    assert picture.stat().st_size > 10_000


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["Autoencod"], "POPGym has no environment 'Autoencod': did you mean 'Autoencode'"),
        (["--agents", "gru", "grue"], "there is no agent 'grue': did you mean 'gru'"),
        (["--agents", "no_such:Own"], "core 'no_such:Own': there is no module 'no_such' to import"),
        (["--agents", "json:JSONDecoder"], "core 'json:JSONDecoder' is JSONDecoder: expected a subclass"),
        (["RepeatPreviousEasy", "--address", "here"], "--address here is no address of a Ray cluster"),
        (["--seeds", "0"], "option --seeds is 0: expected at least 1"),
        (["--steps", "-5"], "option --steps is -5"),
    ],
)
def test_mistakes_are_one_sentence_and_write_nothing(words, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert told in fails(capsys, "popgym", *words)
    assert os.listdir(tmp_path) == []


@pytest.mark.slow
@pytest.mark.ray
@NEEDS_POPGYM
def test_a_small_table_is_trained(tmp_path, capsys):
    out = tmp_path / "table"
    words = ["popgym", "RepeatPreviousEasy", "--agents", "gru", "--steps", "4000", "--seeds", "1", "--out", str(out)]
    assert main([*words, "--json"]) == 0
    row = json.loads(capsys.readouterr().out)["rows"][0]
    assert row["finished"]
    assert row["steps"] >= 4000
    assert -60 < row["return"] < 20
    assert main(words) == 0
    assert "trains" not in capsys.readouterr().err
