import io
import shlex

import pytest

from lukasa.launch.kinds.few_shot.recipes import FEW_SHOT
from lukasa.launch.kinds.programs.recipes import PROGRAMS
from lukasa.launch.kinds.rl.options import RL
from lukasa.launch.kinds.supervised.recipes import TASK
from lukasa.launch.training import asking
from lukasa.launch.training.requests import read_request
from tests.launch.refusals import fails

KINDS = pytest.mark.parametrize("kind", [RL, TASK, FEW_SHOT, PROGRAMS], ids=lambda kind: kind.name)


class Terminal(io.StringIO):
    def isatty(self):
        return True


@KINDS
def test_kind_alone_is_refused_with_two_commands_where_nobody_can_be_asked(capsys, kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sentence = fails(capsys, "train", kind.name)
    commands = [part.partition("train ")[2] for part in sentence.replace(";", ",").split(",") if " train " in part]
    assert len(commands) >= 2
    for line in commands[-2:]:
        read_request(kind, shlex.split(line)[1:])
    assert not list(tmp_path.iterdir())


@KINDS
def test_kind_alone_asks_at_a_terminal(capsys, monkeypatch, kind):
    monkeypatch.setattr("sys.stdin", Terminal("?\n\n\n"))
    monkeypatch.setattr("sys.stderr", Terminal())
    words = asking.words_or_questions(kind, [])
    assert words == [word for one in kind.questions for word in (f"--{one[0]}", one[3])]
    read_request(kind, words)


def test_wrong_answer_gets_the_nearest_name_and_another_try(monkeypatch):
    monkeypatch.setattr("sys.stdin", Terminal("cpoy\nreverse\ngru\n"))
    shown = Terminal()
    monkeypatch.setattr("sys.stderr", shown)
    assert asking.words_or_questions(TASK, []) == ["--task", "reverse", "--core", "gru"]
    assert "there is no task 'cpoy': did you mean 'copy'?" in shown.getvalue()
    assert "lukasa train task --task reverse --core gru" in shown.getvalue() or "train task" in shown.getvalue()
