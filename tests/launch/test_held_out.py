"""What users of RLlib expect around an agent: evaluation while it trains, and a video of it."""

import json

import numpy as np
import pytest

from lukasa.launch.cli import main

pytestmark = pytest.mark.ray

SMALL = "--core=lstm --memory.size=8 --envs-per-runner=4 --batch-size=64 --minibatch-size=64 --epochs=1 --ablation=0"
SHOWN = "tests.launch.seen_environments:Shown"
MANY = "lukasa.envs.own_cues:OwnCues"


@pytest.fixture(autouse=True)
def _ray(ray_cluster):
    """All of these train."""


def train(run, env, *options):
    assert main(["train", "rl", f"--env={env}", *SMALL.split(), "--max-seq-len=20", f"--out={run}", *options]) == 0
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("env", [SHOWN, MANY])
def test_evaluation_while_training_disturbs_nothing(tmp_path, env):
    plain = train(tmp_path / "plain", env, "--steps=256")
    looked = train(tmp_path / "looked", env, "--steps=256", "--eval-every=100", "--eval-episodes=5")
    measured = [row["env_steps"] for row in looked if "eval_return_mean" in row]
    assert measured == [128, 256]
    assert looked[-1]["eval_length_mean"] > 0
    assert ("eval_agent_returns" in looked[-1]) == (env == MANY)
    for with_it, without_it in zip(looked, plain, strict=True):
        for name in ("loss", "return_mean", "entropy", "kl", "gradient_norm"):
            assert with_it[name] == without_it[name], name


def test_video_of_an_episode(tmp_path, capsys):
    import imageio.v3 as imageio

    train(tmp_path / "run", SHOWN, "--steps=64")
    for name in ("film.gif", "film.mp4"):
        file = tmp_path / "films" / name
        assert main(["eval", str(tmp_path / "run"), "--episodes=2", f"--video={file}"]) == 0
        frames = imageio.imread(file)
        assert frames.shape[1:3] == (32, 48)
        if name == "film.gif":
            assert np.allclose(frames[:, 0, 0, 0], [0, 40, 80, 120, 160, 200], atol=4)
        assert len(frames) >= 6
    capsys.readouterr()
    assert main(["eval", str(tmp_path / "run"), f"--video={tmp_path / 'film.txt'}"]) == 2
    assert "expected a file ending in .mp4 or .gif" in capsys.readouterr().err
    assert main(["eval", str(tmp_path / "run"), f"--video={tmp_path / 'film.txt'}", "--checkpoint=none"]) == 2
    assert "expected a file ending in .mp4 or .gif" in capsys.readouterr().err  # before anything is loaded


def test_what_cannot_be_seen_has_no_video(tmp_path, capsys):
    train(tmp_path / "run", "RepeatPrevious-k1-v0", "--steps=64")
    capsys.readouterr()
    assert main(["eval", str(tmp_path / "run"), f"--video={tmp_path / 'film.gif'}"]) == 2
    assert "cannot render to pictures (render_mode rgb_array)" in capsys.readouterr().err
    assert not (tmp_path / "film.gif").exists()
