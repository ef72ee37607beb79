"""Folders of images by class, as people have them, for tests."""

from pathlib import Path

import numpy as np
from PIL import Image


def write_images(root: Path, classes: int = 12, images: int = 6, side: int = 20, mode: str = "RGB") -> Path:
    """Classes that differ in colour and in where they are bright, each image with some noise."""
    for number in range(classes):
        draw = np.random.default_rng(number)
        pattern = draw.integers(0, 200, (side, side, 3))
        folder = root / f"class{number:02d}"
        folder.mkdir(parents=True)
        for image in range(images):
            pixels = (pattern + draw.integers(0, 50, (side, side, 3))).astype(np.uint8)
            Image.fromarray(pixels).convert(mode).save(folder / f"{image}.png")
    return root
