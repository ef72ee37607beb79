"""Each part of the harness in its short form; what one run of it found is a test elsewhere."""

import pytest

from tests.launch.mutations import Campaign
from tests.reliability.clocks import campaign as clocks
from tests.reliability.cut_files import corruptions, hostile, truncations
from tests.reliability.disks import campaigns as disks
from tests.reliability.disks import unwritable, why_not
from tests.reliability.kills import RL, with_ray
from tests.reliability.kills import campaign as kills
from tests.reliability.memory_use import campaign as memory_use
from tests.reliability.pairs import campaign as pairs
from tests.reliability.pairs import held
from tests.reliability.report import HEAD, rows_of, write_rows
from tests.reliability.sockets import serving, training

SLOW = [
    pytest.param(one, marks=pytest.mark.slow)
    for one in ("few-shot", "questions", "pointers", "programs", "circuits", "continual")
]


@pytest.mark.parametrize("kind", ["task", *SLOW])
def test_killed_runs_go_on_with_the_numbers_of_the_run_that_nobody_killed(kind, tmp_path):
    tried = kills(kind, 2, 0, tmp_path)
    assert tried.broken == []
    assert tried.found["right"] == 2


@pytest.mark.slow
@pytest.mark.ray
def test_killed_runs_on_ray_go_on(tmp_path):
    assert with_ray("rl", RL, 1, 0, tmp_path).broken == []


def test_full_disks_are_one_sentence_and_the_run_goes_on(tmp_path):
    for what, tried in disks("task", 3, 1, tmp_path).items():
        assert tried.broken == [], what
        assert tried.found["sentence"], what


def test_folders_that_cannot_be_written_are_one_sentence(tmp_path):
    if reason := why_not():
        pytest.skip(reason)
    (tmp_path / "read-only").mkdir()
    tried = unwritable(tmp_path / "read-only")
    assert tried.broken == []
    assert tried.found["right"] == 2


@pytest.mark.filterwarnings("ignore")
def test_files_cut_short_or_damaged_are_read_rightly_or_refused_by_name(tmp_path):
    found = truncations(tmp_path / "cut", at_most=25) | corruptions(60, 0, tmp_path / "damaged")
    for what, tried in found.items():
        assert tried.broken == [], what
        assert tried.tried >= 10


@pytest.mark.filterwarnings("ignore")
def test_pickles_in_a_checkpoint_are_never_run(tmp_path):
    tried = hostile(tmp_path)
    assert tried.broken == []
    assert tried.found["sentence"] == tried.tried == 15


def test_one_of_two_processes_trains_a_run(tmp_path):
    assert pairs(2, 0, tmp_path / "both").broken == []
    assert held(tmp_path / "held").broken == []


def test_clock_that_jumps_changes_nothing_but_the_time_of_day(tmp_path):
    assert clocks("task", 1, 0, tmp_path).broken == []


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", ["task", "task --ray", "rl", "rl --ray"])
def test_runs_listen_on_loopback_alone(kind, tmp_path):
    assert training((kind,), tmp_path).broken == []


@pytest.mark.slow
@pytest.mark.ray
def test_served_agent_listens_on_loopback_alone(tmp_path):
    pytest.importorskip("ray.serve")
    assert serving(tmp_path).broken == []


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.timeout(1800)
def test_sparse_memory_in_rllib_holds_no_more_and_more(tmp_path):
    assert memory_use(20_000, tmp_path).broken == []


def test_report_keeps_words_and_replaces_counts(tmp_path):
    page, tried = tmp_path / "page.md", pairs_of(1)
    write_rows(page, rows_of("pairs", {"two": tried}, 0))
    page.write_text(page.read_text() + "\nWhat was found.\n")
    tried.attempt("x", lambda: "right")
    write_rows(page, rows_of("kills", {"task": tried}, 3) | rows_of("pairs", {"two": tried}, 0))
    lines = page.read_text().splitlines()
    assert lines[2] == HEAD
    assert [line.split(" | ")[:3] for line in lines[4:6]] == [["| kills", "task", "2"], ["| pairs", "two", "2"]]
    assert lines[-1] == "What was found."


def pairs_of(count):
    """So many tries that went well."""
    tried = Campaign()
    for number in range(count):
        tried.attempt(number, lambda: "right")
    return tried
