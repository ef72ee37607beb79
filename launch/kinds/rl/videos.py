"""An episode of a trained agent as a video."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from lukasa import envs
from lukasa.ground.mistakes import UserError, as_user_error

FORMATS = (".mp4", ".gif")
FRAMES_A_SECOND = 10
"""Where the environment does not say."""


class Filmed:
    """An environment, of one agent or several, with a picture kept of every step.

    Args:
        env: with ``render_mode="rgb_array"``.

    Attributes:
        frames: uint8 [height, width, 3] each.
    """

    def __init__(self, env: Any):
        self.env = env
        self.frames: list[np.ndarray] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.env, name)

    def reset(self, **options: Any) -> Any:
        """As the environment's own."""
        result = self.env.reset(**options)
        self._look()
        return result

    def step(self, action: Any) -> Any:
        """As the environment's own."""
        result = self.env.step(action)
        self._look()
        return result

    def _look(self) -> None:
        frame = np.asarray(self.env.render())
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
            raise UserError(
                f"the environment renders arrays of shape {frame.shape} and dtype {frame.dtype}, expected "
                "[height, width, 3] of uint8: give it another render_mode rgb_array"
            )
        self.frames.append(frame.copy())


def check_video(path: str) -> Path:
    """The file of a video, before anything is played.

    Raises:
        UserError: it has another ending than those that are known, or the extra is not installed.
    """
    file = Path(path)
    if file.suffix.lower() not in FORMATS:
        raise UserError(f"--video {path} is no name of a video: expected a file ending in {' or '.join(FORMATS)}")
    if importlib.util.find_spec("imageio") is None:
        raise UserError("--video needs the package imageio, which is not installed: pip install 'lukasa[video]'")
    return file


def make_filmed(env_id: str, settings: Mapping[str, Any]) -> Filmed:
    """An environment that shows itself.

    Raises:
        UserError: it cannot.
    """
    for device in ("AUDIO", "VIDEO"):  # pygame opens them, needs neither, and complains where there is none
        os.environ.setdefault(f"SDL_{device}DRIVER", "dummy")
    refused = f"environment {env_id!r} cannot render to pictures (render_mode rgb_array), so that there is no video"
    try:
        with as_user_error():
            env = envs.make(env_id, **{**settings, "render_mode": "rgb_array"})
    except UserError as error:
        with as_user_error():
            envs.make(env_id, **settings).close()  # raises what is wrong beside rendering
        raise UserError(f"{refused}: {error}") from error
    if env.render_mode != "rgb_array":
        with suppress(Exception):
            env.close()
        raise UserError(refused)
    return Filmed(env)


def write_video(frames: list[np.ndarray], path: Path, metadata: Mapping[str, Any]) -> None:
    """Write pictures as a video, a GIF where its name ends so."""
    import imageio.v3 as imageio

    path.parent.mkdir(parents=True, exist_ok=True)
    rate = float(metadata.get("render_fps") or FRAMES_A_SECOND)
    if path.suffix.lower() == ".gif":
        imageio.imwrite(path, np.stack(frames), duration=1000 / rate, loop=0)
    else:
        imageio.imwrite(path, np.stack(frames), fps=rate, plugin="FFMPEG", macro_block_size=2)
