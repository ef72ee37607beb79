import json
from dataclasses import replace

import pytest
import torch

from lukasa import memory
from lukasa.benchmarks.solved_cells import SOLVED, Cell, table
from lukasa.benchmarks.who_solves_what import (
    CONTESTANTS,
    SUBJECTS,
    Settings,
    contestant,
    main,
    measure,
)
from lukasa.launch.kinds.supervised.settings import make_sampler

SMALL = Settings(cores=("lstm", "gru"), subjects=("stack_anbn", "mqar_4"), sequences=64, seconds=100.0)


def cell(subject: str, core: str, validation: float, doubled: float, seed: int = 0) -> Cell:
    return Cell(subject, core, seed, validation, doubled, 10.0, 64, 1.0, 0.5, {}, 1e-3, SMALL.budget)


@pytest.fixture
def settings(tmp_path):
    return replace(SMALL, out=tmp_path / "new" / "cells.jsonl")


@pytest.mark.parametrize("subject", SUBJECTS)
def test_doubled_subject_has_the_widths_of_the_trained_one_and_is_longer(subject):
    on = SUBJECTS[subject]
    trained, doubled = make_sampler(on.task, "train", on.trained), make_sampler(on.task, "validation", on.doubled)
    assert (trained.spec.input_size, trained.spec.output_size) == (doubled.spec.input_size, doubled.spec.output_size)
    short, long = (one.sample(200, torch.Generator().manual_seed(0)).lengths.max() for one in (trained, doubled))
    assert 1.7 < long / short <= 2


def test_every_core_can_take_part_at_the_same_size():
    for name in memory.CORES:
        core = memory.make_core(name, input_size=2, output_size=2, **contestant(name).options)
        assert getattr(core, "slots", 32) == 32, name
    assert set(CONTESTANTS) <= set(memory.CORES)


def test_a_core_takes_part_with_options_of_its_own():
    plain, changed = contestant("workbench"), contestant("workbench+writing=append+top=3")
    assert changed.options == plain.options | {"writing": "append", "top": 3}
    assert changed.lr == plain.lr


def test_memory_is_wiped_where_there_is_one_beside_a_controller():
    budget = replace(SMALL, sequences=32)
    with_memory = measure("copy", "workbench+addressing=top_k", 0, budget)
    assert with_memory.wiped is not None
    assert with_memory.state > 32 * 16 * 4
    assert with_memory.chance == 50
    assert measure("copy", "gru", 0, budget).wiped is None


def test_run_writes_a_line_a_cell_and_the_table(settings, capsys):
    main(settings)
    lines = [json.loads(line) for line in settings.out.read_text().splitlines()]
    found = [(line["subject"], line["core"], line["sequences"]) for line in lines]
    assert found == [(subject, core, 64) for subject in settings.subjects for core in settings.cores]
    assert settings.out.with_suffix(".md").read_text() in capsys.readouterr().out
    assert settings.out.with_suffix(".png").stat().st_size > 5_000


def test_killed_run_goes_on_with_the_cells_that_are_missing(settings):
    main(settings)
    whole = settings.out.read_text().splitlines(keepends=True)
    settings.out.write_text("".join(whole[:2]) + whole[2][:30])
    main(settings)
    again = settings.out.read_text().splitlines(keepends=True)
    assert again[:2] == whole[:2]
    told = [{key: value for key, value in json.loads(line).items() if key != "seconds"} for line in again]
    assert [(one["subject"], one["core"]) for one in told[2:]] == [("mqar_4", "lstm"), ("mqar_4", "gru")]
    # The rate follows the sequences here, so the cells come out the same.
    assert [one["loss"] for one in told] == pytest.approx([json.loads(line)["loss"] for line in whole], rel=1e-4)


def test_cells_of_another_budget_are_refused(settings):
    main(settings)
    with pytest.raises(SystemExit, match=r"was measured with .*64.*, not .*32.*: choose another --out"):
        main(replace(settings, sequences=32))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"cores": ("lstmm",)}, "unknown core 'lstmm': did you mean 'lstm'"),
        ({"cores": ("workbench+writting=append",)}, "did you mean 'writing'"),
        ({"cores": ("workbench+writing=appnd",)}, "'appnd'.*append"),
        ({"subjects": ("mqar_5",)}, "unknown subject 'mqar_5'"),
        ({"cores": ()}, "no cell to measure"),
    ],
)
def test_what_cannot_be_measured_is_told(settings, change, told):
    with pytest.raises(SystemExit, match=told):
        main(replace(settings, **change))


def test_cell_ends_when_its_seconds_are_used_up():
    found = measure("stack_anbn", "lstm", 0, replace(SMALL, sequences=10**9, seconds=0.3))
    assert 0.3 <= found.seconds < 2
    assert found.sequences > 32


def test_lstm_solves_counting_and_not_what_it_has_no_time_for():
    solved = measure("stack_anbn", "lstm", 0, replace(SMALL, sequences=16_000))
    unsolved = measure("mqar_16", "lstm", 0, replace(SMALL, sequences=320))
    assert solved.validation >= SOLVED
    assert unsolved.validation < SOLVED


def test_table_is_bold_where_the_mean_over_seeds_is_solved():
    cells = [
        cell("mqar_4", "ntm", 100.0, 30.0),
        cell("mqar_4", "ntm", 98.0, 50.0, seed=1),
        cell("a", "lstm", 98.9, 99.0),
    ]
    lines = table(cells).splitlines()
    assert "| mqar_4 | 10.0 | **99.0** / 40.0 |  |" in lines
    assert "| a | 10.0 |  | 98.9 / **99.0** |" in lines
