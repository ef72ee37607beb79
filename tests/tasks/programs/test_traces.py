"""Traces are written, read back, and checked line by line."""

import pytest

from lukasa.tasks.programs import FORMS, TASKS, TraceError, frames, read_trace, right_trace, written_trace

PROBLEMS = {"addition": "945+67", "bubble_sort": "3,1,2", "maximum": "1,3,2"}


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("form", FORMS)
def test_trace_is_read_back_as_it_was_written(tmp_path, name, form):
    task = TASKS[name]
    trace = right_trace(task, form, 10, task.read(PROBLEMS[name], 10))
    file = tmp_path / "trace.txt"
    file.write_text(written_trace(trace))
    assert read_trace(file) == trace


def test_trace_is_what_people_read():
    trace = right_trace(TASKS["addition"], "loops", 10, TASKS["addition"].read("5+7", 10))
    lines = written_trace(trace).splitlines()
    assert lines[:6] == ["lukasa trace 1", "task addition", "form loops", "base 10", "problem 5+7", "ADD"]
    assert [line.split("|")[0].rstrip() for line in lines[6:10]] == [
        "  ADD1",
        "    ACT WRITE OUT 2",
        "    CARRY",
        "      ACT MOVE CARRY LEFT",
    ]
    assert lines[7].endswith("| 5 7 . .")
    assert lines[-1] == f"end {len(trace.steps)}"


def changed(lines, place, line):
    return [*lines[: place - 1], *([line] if line is not None else []), *lines[place:]]


@pytest.mark.parametrize(
    ("place", "line", "said"),
    [
        (1, "a trace", "line 1: expected 'lukasa trace 1'"),
        (2, "task additon", "line 2: unknown task of programs 'additon': did you mean 'addition'?"),
        (3, "from loops", "line 3: 'from': expected 'form' and its value"),
        (3, "form loop", "line 3: form 'loop': expected one of loops, recursive"),
        (4, "base 1", "line 4: base is 1: expected a number from 2 to 36"),
        (4, "base 7", "line 5: problem '5+7' has the digit '7': base 7 has the digits 0123456"),
        (6, "SUB", "line 6: expected the main program of addition, ADD"),
        (7, "  ADD2 | 5 7 . .", "line 7: unknown program 'ADD2': did you mean 'ADD'?; expected one of ACT, ADD, ADD1"),
        (7, "    ADD1 | 5 7 . .", "line 7: ADD1 is indented by 4: expected 2, where 1 programs have begun"),
        (7, "  ADD1 | 5 8 . .", "line 7: saw '5 8 . .': expected '5 7 . .'"),
        (7, "  ADD1", "line 7: expected a call or return, a | and what was seen"),
        (8, "    ACT WRITE OUT x | 5 7 . .", "line 8: argument 'x': expected one of 0, 1"),
        (8, "    ACT WRITE IN9 2 | 5 7 . .", "line 8: pointer 'IN9': expected one of IN1, IN2, CARRY, OUT"),
        (8, "    ACT 3 0 0 | 5 7 . .", "line 8: the pad has no action (3, 0, 0): expected an action that can be done"),
        (8, "    ACT MOVE IN1 | 5 7 . .", "has 2 words: expected 3"),
        (8, "    ACT 1 77 0 | 5 7 . .", "three numbers from 0 to 9"),
    ],
)
def test_broken_trace_names_file_line_and_what_was_expected(tmp_path, place, line, said):
    trace = right_trace(TASKS["addition"], "loops", 10, TASKS["addition"].read("5+7", 10))
    file = tmp_path / "trace.txt"
    file.write_text("\n".join(changed(written_trace(trace).splitlines(), place, line)))
    with pytest.raises(TraceError) as refused:
        read_trace(file)
    assert str(refused.value).startswith(f"{file}, line ")
    assert said in str(refused.value)


def test_trace_cut_short_is_refused_at_every_line(tmp_path):
    trace = right_trace(TASKS["bubble_sort"], "recursive", 10, (2, 1))
    lines = written_trace(trace).splitlines()
    file = tmp_path / "trace.txt"
    for count in range(len(lines)):
        file.write_text("\n".join(lines[:count]))
        with pytest.raises(TraceError, match=f"line {count + 1}: the file ends here, cut short: expected"):
            read_trace(file)
    file.write_text("\n".join([*lines, "more"]))
    with pytest.raises(TraceError, match="expected nothing behind the end"):
        read_trace(file)
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TraceError, match="expected a trace as UTF-8 text"):
        read_trace(file)


def test_frames_hold_every_step_of_a_trace():
    trace = right_trace(TASKS["addition"], "loops", 10, TASKS["addition"].read("99+11", 10))
    found = frames("pad", trace.steps)
    assert sum(len(frame.seen) * often for frame, often in found.items()) == len(trace.steps)
    assert sum(often for frame, often in found.items() if frame.program == "LSHIFT") == 3
    assert all(frame.calls[-1] is None and None not in frame.calls[:-1] for frame in found)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(TraceError, match=r"nowhere\.txt: cannot be read: No such file or directory"):
        read_trace(tmp_path / "nowhere.txt")
    with pytest.raises(TraceError, match="cannot be read: Is a directory"):
        read_trace(tmp_path)


def test_a_mark_of_the_encoding_is_no_part_of_a_trace(tmp_path):
    addition = TASKS["addition"]
    trace = right_trace(addition, "loops", 10, addition.read("5+7", 10))
    file = tmp_path / "trace.txt"
    file.write_text(written_trace(trace), encoding="utf-8-sig")
    assert read_trace(file) == trace
