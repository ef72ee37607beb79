import json

import pytest
import torch

from lukasa.benchmarks import gpu
from lukasa.launch.cli import main
from tests.launch.refusals import fails


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_missing_gpu_is_said_and_nothing_is_written(capsys, tmp_path):
    said = fails(capsys, "bench", "gpu", "--out", str(tmp_path / "results"))
    assert "this needs a GPU that PyTorch can use, and there is none here" in said
    assert "add --device cpu for a small version of everything" in said
    assert not (tmp_path / "results").exists()


def test_small_version_measures_everything_and_writes_a_page(capsys, tmp_path):
    assert main(["bench", "gpu", "--device", "cpu", "--no-tests", "--out", str(tmp_path), "--minutes", "0.1"]) == 0
    (page,) = tmp_path.glob("gpu_cpu_*.md")
    found = json.loads(page.with_suffix(".json").read_text())
    names = [row["what"] for row in found["rows"]] + [line.split(": ")[1] for line in found["left_out"]]
    assert sorted(names) == sorted(one.what for one in gpu.wanted("cpu"))
    assert all(row["figure"] > 0 for row in found["rows"])
    assert found["rows"]
    text = page.read_text()
    assert found["command"].startswith("lukasa bench gpu --device cpu")
    for said in (found["command"], torch.__version__, "left out: --no-tests", *(row["what"] for row in found["rows"])):
        assert said in text


def test_no_time_leaves_everything_out_and_lists_it(tmp_path):
    assert main(["bench", "gpu", "--device", "cpu", "--no-tests", "--out", str(tmp_path), "--minutes", "1e-9"]) == 0
    (page,) = tmp_path.glob("gpu_cpu_*.md")
    assert page.read_text().count("no time was left") == len(list(gpu.wanted("cpu")))


def test_gpu_comes_first_and_has_every_core_and_index():
    asked = list(gpu.wanted("cuda"))
    on_cpu = [" cpu" in one.what for one in asked]
    assert on_cpu == sorted(on_cpu)
    for name in gpu.CORES:
        assert {f"{name}, batch {batch}, {at}" for batch in (16, 256) for at in ("cuda", "cpu")} <= {
            one.what for one in asked
        }
    assert sum(one.section == "A step of a sparse memory" for one in asked) == 15
