"""Commands that the product prints can be pasted into a shell, whatever the names of folders are."""

import contextlib
import json
import re
import shlex
import shutil
import subprocess
import warnings
from pathlib import Path

import pytest

from lukasa.launch.cli.command import COMMANDS, main
from lukasa.launch.kinds.supervised.recipes import TASK
from lukasa.launch.options import program
from lukasa.launch.options.fields import split_words
from lukasa.launch.options.program import command, plain_notes
from lukasa.launch.runs import storage
from lukasa.launch.runs.directory import Run
from lukasa.launch.training.beginning import resume_command
from lukasa.launch.training.requests import read_request
from lukasa.tasks import omniglot
from tests.test_documentation import commands, read_command

AWKWARD = [
    "plain", "my runs", "two  spaces", "it's", 'say "hi"', "-x", "--out", "-", "é 🙂", "$HOME", "a;b|c&d", "`ls`",
    "$(ls)", "~", "~root", "*", "#x", "!x", "a=b", "--a=b", "tab\there", "new\nline", "back\\slash", "%s{0}", "(x)",
    "[x]", "<x>", "'", "\x1b[1m", "'\n'", "a\\\nb", "é\nx\x7f",
]  # fmt: skip


def words_of(*lines):
    """The words that a shell hands to a program for each line."""
    script = "".join(f"printf '%s\\0' {line}\nprintf '\\0'\n" for line in lines)
    said = subprocess.run(["bash", "-c", script], capture_output=True, check=True, cwd="/").stdout.decode()
    return [group.split("\0") for group in said.removesuffix("\0\0").split("\0\0")]


def printed(text):
    """The words of the commands of ours that a text shows, as a shell reads them."""
    lines = re.findall(rf"^ *((?:lukasa|{re.escape(program.program())}|tensorboard) .*)$", text, re.MULTILINE)
    lines += re.findall(r"with {1,2}((?:lukasa|tensorboard|\S+ -m lukasa.launch) .+)$", text, re.MULTILINE)
    found = words_of(*dict.fromkeys(line.replace(program.program(), "lukasa", 1) for line in lines))
    assert len(found) == len(set(lines)), "some command reads as several"
    return found


def test_awkward_names_come_through_a_shell_and_are_never_options():
    lines = [command("eval", Path(name), "--json") for name in AWKWARD]
    assert not any("\n" in line for line in lines)
    for name, (*_, eval_, path, json_) in zip(AWKWARD, words_of(*lines), strict=True):
        assert (eval_, json_) == ("eval", "--json")
        assert split_words([path, json_]) == ([path], ["--json"])
        assert Path(path) == Path(name)


def test_command_in_an_error_keeps_the_spaces_of_its_folder(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = Path("two  spaces")
    (folder / "checkpoints" / "step-000000000001").mkdir(parents=True)
    (folder / "checkpoints" / "step-000000000002").mkdir(parents=True)
    assert train(folder, "--resume") == 2
    config = {"format": 1, "kind": "task", "recipe": None, "experiment": {"task": "copy", "core": "gru"}}
    (folder / "config.json").write_text(json.dumps(config))
    capsys.readouterr()
    assert train(folder, "--resume") == 2
    said = capsys.readouterr().err
    (words,) = words_of(said.rstrip("\n").partition("from the one before with ")[2])
    request = read_request(TASK, words[words.index("task") + 1 :])
    assert (request.out, request.checkpoint, request.resume) == (folder, "step-000000000001", True)


def train(out, *words):
    line = "--task copy --core gru --memory.size 4 --sampler.max-length 2 --sampler.bits 1 --steps 16 --report-every 8"
    return main(["train", "task", f"--out={out}", *([] if "--resume" in words else line.split()), *words])


@pytest.mark.parametrize("name", ["-it's  a $HOME", "new\nline é"])
def test_what_training_prints_runs(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert train(name) == 0
    said = capsys.readouterr()
    found = printed(said.out) + printed(said.err)
    assert [words[1] for words in found] == ["eval", "plot", "--logdir"]
    for _, *words in found[:2]:
        assert main([*words, *(["--sequences", "2"] if words[0] == "eval" else [])]) == 0
    assert Path(found[2][2]).resolve() == (tmp_path / name).resolve()
    assert (tmp_path / name / "plots" / "learning.png").is_file()


def test_what_fetching_and_stopping_print_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run = Run(Path("-a  b"), "sequences")
    assert train(run.path) == 0
    for sync in (None, "file:///x y"):
        (words,) = words_of(resume_command(TASK, run, sync=sync))
        request = read_request(TASK, words[words.index("task") + 1 :])
        assert (request.out, request.resume, request.sync) == (Path("./-a  b"), True, sync)
    capsys.readouterr()
    (tmp_path / "kept").mkdir()
    with storage.synced(run.path, f"file://{tmp_path}/kept/a run"):
        pass
    shutil.rmtree(run.path)
    assert main(["fetch", f"file://{tmp_path}/kept/a run"]) == 0
    (words,) = printed(capsys.readouterr().err)
    assert main([*words[1:], "--sequences", "2"]) == 0


HELP = [name for name in COMMANDS if name != "bench"]


@pytest.mark.parametrize("name", HELP)
def test_examples_of_the_help_are_taken(name, capsys):
    with contextlib.suppress(SystemExit):
        assert main([*name.split(), "--help"]) == 0
    examples = capsys.readouterr().out.partition("\nExamples\n")[2].partition("\n\n")[0]
    for words in commands(examples):
        read_command([word for word in words if word != "--help"])
    assert examples or name not in ("train rl", "train task", "train few-shot", "eval", "plot")


def test_commands_that_lists_name_are_taken(capsys):
    assert main(["list"]) == 0
    found = re.findall(r"lukasa (list [a-z]+|train [a-z-]+ --help)", capsys.readouterr().out)
    assert len(found) > 5
    assert main(["list", "recipes", "--json"]) == 0
    found += [row["command"].removeprefix("lukasa ") for row in json.loads(capsys.readouterr().out)["recipes"]]
    for line in found:
        read_command([word for word in line.split() if word != "--help"])


def test_our_warnings_are_notes_and_those_of_others_say_where_they_are_from(monkeypatch):
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)
    plain_notes.__wrapped__()
    shown = warnings.formatwarning
    assert shown(UserWarning("strokes\nstand in"), UserWarning, omniglot.__file__, 3) == "note: strokes stand in\n"
    library = Path(omniglot.__file__).parents[1] / ".venv/lib/python3.11/site-packages/gymnasium/core.py"
    for file in (shlex.__file__, str(library)):
        assert f"{file}:3: UserWarning: x" in shown(UserWarning("x"), UserWarning, file, 3)
