import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[3] / "docs" / "rllib.md"


@pytest.mark.ray
def test_the_code_of_the_page_runs(ray_cluster, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) == 8
    names = {}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
    assert names["result"]["training_iteration"] == 1
    assert len(names["episodes"]) == 3
    assert "(49, 1, 16)" in capsys.readouterr().out


def test_the_state_size_that_the_page_gives_is_right():
    from lukasa import memory

    core = memory.make_core("ntm", input_size=1, output_size=1, slots=128, word_size=20)
    numbers = sum(part.numel() for part in memory.state_to_dict(core.initial_state(1)).values())
    assert round(4 * numbers / 1000) == 12
