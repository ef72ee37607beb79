"""Data sets of few-shot episodes: their parts, what they hold, and one sentence about data that cannot be used."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lukasa.tasks.class_arrays import ClassArray
from lukasa.tasks.class_parts import split_classes
from lukasa.tasks.data import DataError
from lukasa.tasks.episodes import Shots
from lukasa.tasks.examples import Augmentation, Examples
from lukasa.tasks.few_shot_data import DATASETS, FewShotData, dataset_options, make_dataset
from lukasa.tasks.image_folders import ImageFolder
from lukasa.tasks.omniglot import PARTS, load_omniglot
from tests.tasks.images import write_images


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> str:
    return str(write_images(tmp_path_factory.mktemp("data") / "pictures"))


@pytest.fixture
def made(root, tmp_path):
    """Every data set, small."""
    np.save(tmp_path / "values.npy", np.random.default_rng(0).random((15, 4, 3)).astype("float32"))
    options = {
        "omniglot": {"source": "generated", "size": 8},
        "omniglot_strokes": {"size": 8},
        "folder": {"root": root, "size": 8},
        "array": {"file": str(tmp_path / "values.npy")},
    }
    return {name: make_dataset(name, **options[name]) for name in DATASETS}


def classes_of(examples: Examples) -> set[bytes]:
    return {one.numpy().tobytes() for one in examples.values}


@pytest.mark.parametrize("name", DATASETS)
def test_parts_share_no_class_and_are_the_same_every_time(made, name):
    data = made[name]
    assert isinstance(data, FewShotData)
    trained_on = "fit" if "fit" in data.parts else "train"
    names = (trained_on, data.parts[trained_on].validation, data.parts[trained_on].test)
    loaded = [data.load(part) for part in names]
    found = [classes_of(one) for one in loaded]
    assert sum(map(len, found)) == len(set.union(*found)) > 0
    assert [classes_of(data.load(part)) for part in names] == found
    assert all(one.shape == data.shape for one in loaded)
    episode = Shots(examples=loaded[0], ways=3, shots=1, queries=2).sample(2, torch.Generator().manual_seed(0))
    assert episode.support.shape == (2, 3, 1, *data.shape)


@pytest.mark.parametrize("name", DATASETS)
def test_a_part_that_there_is_not_is_told_with_those_there_are(made, name):
    with pytest.raises(ValueError, match=r"has no part 'tests': choose one of .*'test'"):
        made[name].load("tests")


def test_omniglot_is_what_its_reader_reads():
    for part in ("background_small1", "fit"):
        data = make_dataset("omniglot", source="generated", size=8, turns=False)
        assert torch.equal(data.load(part).values, load_omniglot(part, 8, source="generated").values)
        assert torch.equal(make_dataset("omniglot_strokes", size=8).load(part).values, data.load(part).values)
    assert data.parts.keys() == PARTS.keys()
    assert {part: data.parts[part].test for part in ("train", "background_small2", "fit")} == {
        "train": "test",
        "background_small2": "evaluation",
        "fit": "test",
    }


def test_papers_report_part_test_at_28_pixels_with_turns():
    parts = {name: part.benchmark for name, part in make_dataset("omniglot").parts.items()}
    assert [name for name in parts if parts[name]] == ["test"]
    for options in ({"size": 20}, {"turns": False}):
        assert not any(part.benchmark for part in make_dataset("omniglot", **options).parts.values())
    assert not any(part.benchmark for part in make_dataset("omniglot_strokes").parts.values())


def test_split_follows_shares_and_seed():
    first, other = split_classes(40, 0.1, 0.25, 0), split_classes(40, 0.1, 0.25, 1)
    assert {name: len(numbers) for name, numbers in first.items()} == {"train": 26, "validation": 4, "test": 10}
    assert sorted(np.concatenate(list(first.values()))) == list(range(40))
    assert first["test"].tolist() != other["test"].tolist()
    assert len(split_classes(5, 0.01, 0.01, 0)["test"]) == 1  # never none where some are wanted
    assert len(split_classes(5, 0.0, 0.4, 0)["validation"]) == 0


def test_images_keep_their_pixels_colours_and_order(root):
    data = ImageFolder(root=root, size=20, validation=0.0, test=0.1)
    assert (data.shape, list(data.parts), data.parts["train"].validation) == ((3, 20, 20), ["train", "test"], "")
    first = np.asarray(Image.open(Path(root) / "class00" / "3.png"))
    assert any(
        (one[3].permute(1, 2, 0).numpy() == first).all() for part in data.parts for one in data.load(part).values
    )
    grey = ImageFolder(root=root, size=16, colour=False, turns=True).load("train")
    assert grey.shape == (16, 16)
    assert grey.classes == 4 * len(grey.values)
    assert grey.source == "pictures (train, 8 classes of 6 images)"


def test_folders_train_and_test_are_the_split(tmp_path):
    for name, classes in (("train", 3), ("val", 2), ("test", 4)):
        write_images(tmp_path / name, classes)
    data = ImageFolder(root=str(tmp_path), size=8)
    assert {part: data.load(part).classes for part in data.parts} == {"train": 3, "validation": 2, "test": 4}


def test_as_many_images_are_taken_as_the_smallest_class_has_or_as_asked(tmp_path):
    write_images(tmp_path, 6)
    (tmp_path / "class00" / "5.png").unlink()
    assert ImageFolder(root=str(tmp_path)).load("train").instances == 5
    six = ImageFolder(root=str(tmp_path), instances=6)
    assert sum(six.load(part).classes for part in six.parts) == 5


def test_images_of_every_kind_are_read(tmp_path):
    white = np.full((10, 14), 65535, "uint16")
    kinds = {
        "deep.png": Image.fromarray(white),
        "clear.png": Image.new("RGBA", (9, 9), (0, 0, 0, 0)),
        "palette.gif": Image.new("P", (9, 9), 0).convert("RGB"),
        "bits.png": Image.new("1", (9, 9), 1),
        "photo.JPG": Image.new("RGB", (40, 30), "white"),
    }
    for number in range(3):
        (tmp_path / str(number)).mkdir()
        for name, picture in kinds.items():
            picture.save(tmp_path / str(number) / name, "JPEG" if name.endswith("JPG") else None)
        (tmp_path / str(number) / "Thumbs.db").write_bytes(b"no image")
        (tmp_path / str(number) / "._photo.jpg").write_bytes(b"no image")
    for colour in (True, False):
        values = ImageFolder(root=str(tmp_path), size=8, colour=colour).load("train").values
        means = values.flatten(2).float().mean(-1)[0].tolist()
        assert means == [255, 255, 255, 0, 255]  # bits, clear, deep, palette, photo: by name


def test_a_folder_that_changed_is_read_anew(tmp_path):
    write_images(tmp_path, 5)
    before = ImageFolder(root=str(tmp_path), size=8).load("train").values
    for path in tmp_path.rglob("0.png"):
        Image.new("RGB", (30, 30), "white").save(path)
    assert not torch.equal(before, ImageFolder(root=str(tmp_path), size=8).load("train").values)


def bad_folder(place: Path, what: str) -> dict:
    options = {"root": str(place)}
    if what == "nowhere":
        return {"root": str(place / "nowhere")}
    if what == "loose":
        write_images(place, 1)
        (place / "class00").rename(place.parent / "loose")
        return {"root": str(place.parent / "loose")}
    if what == "empty":
        return options
    write_images(place, 2 if what == "few" else 4)
    one = place / "class01"
    if what == "no image":
        (place / "extra").mkdir()
    if what == "one image":
        for path in sorted(one.iterdir())[1:]:
            path.unlink()
    if what == "cut short":
        (one / "3.png").write_bytes((one / "3.png").read_bytes()[:60])
    if what == "no picture":
        (one / "3.png").write_text("words")
    return {**options, "instances": 40} if what == "too many" else options


def load_all(**options) -> None:
    data = make_dataset("folder", **options)
    for part in data.parts:
        data.load(part)


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ("nowhere", "nowhere cannot be read .No such file or directory.: name a folder with a folder of images"),
        ("empty", "has nothing that is an image: no folder of a class: expected .*CLASS/.*png"),
        ("loose", "has 6 images, and no folder of a class: expected"),
        ("no image", "class 'extra' in .* has no image"),
        ("one image", "class 'class01' in .* has 1 image: an episode shows one and asks for another"),
        ("few", "2 classes leave none to train on beside 1 of part 'validation' and 1 of part 'test'"),
        ("cut short", "class01/3.png cannot be read as an image"),
        ("no picture", "class01/3.png cannot be read as an image"),
        ("too many", "no class has 40 images: lower instances"),
    ],
)
def test_bad_folder_is_one_sentence(tmp_path, what, sentence):
    (tmp_path / "root").mkdir()
    options = bad_folder(tmp_path / "root", what)
    with pytest.raises(DataError, match=sentence) as refused:
        load_all(**options)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("arrays", "shape"),
    [
        ({"": np.zeros((10, 4, 3))}, (3,)),
        ({"": np.zeros((10, 4, 5, 6), "uint8")}, (5, 6)),
        ({"": np.zeros((10, 4, 2, 3, 4, 5), "int64")}, (2, 3, 4, 5)),
        ({"x": np.zeros((10, 4, 3), bool)}, (3,)),
        ({"train": np.zeros((10, 4, 3)), "test": np.zeros((2, 9, 3))}, (3,)),
    ],
)
def test_array_of_any_shape_and_numbers_is_read(tmp_path, arrays, shape):
    file = tmp_path / ("values.npy" if "" in arrays else "values.npz")
    if "" in arrays:
        np.save(file, arrays[""])
    else:
        np.savez(file, **arrays)
    data = make_dataset("array", file=str(file))
    assert data.shape == data.load("test").shape == shape
    episode = Shots(examples=data.load("train"), ways=2, queries=1).sample(1, torch.Generator())
    assert episode.support.dtype == torch.float32


def test_channels_may_come_last(tmp_path):
    values = np.random.default_rng(0).integers(0, 255, (8, 3, 5, 6, 3)).astype("uint8")
    np.save(tmp_path / "values.npy", values)
    data = make_dataset("array", file=str(tmp_path / "values.npy"), channels_last=True)
    assert data.shape == (3, 5, 6)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (np.zeros((10, 4)), r"the shape \[10, 4\]: expected \[classes, instances"),
        (np.zeros((10, 1, 4)), r"\[10, 1, 4\]: expected .* at least 2 instances"),
        (np.zeros((0, 4, 4)), r"\[0, 4, 4\]: expected"),
        (np.full((10, 4, 4), np.nan), "not finite"),
        (np.full((10, 4, 4), "x"), "expected numbers"),
        (np.zeros((10, 4, 4), complex), "holds complex128: expected numbers"),
        ({"train": np.zeros((4, 4, 4)), "test": np.zeros((4, 4, 5))}, "of the parts differ in shape"),
        ({"a": np.zeros((4, 4, 4)), "b": np.zeros((4, 4, 4))}, "holds a, b: expected one array, or those named train"),
        ({"test": np.zeros((4, 4, 4))}, "expected one array, or those named train"),
        (b"words", "no .npy or .npz file"),
        (b"", "no .npy or .npz file"),
        (np.array([{}, None], object), "no .npy or .npz file"),
    ],
)
def test_bad_array_is_one_sentence(tmp_path, content, sentence):
    file = tmp_path / "values.npz"
    with file.open("wb") as opened:
        if isinstance(content, bytes):
            opened.write(content)
        elif isinstance(content, dict):
            np.savez(opened, **content)
        else:
            np.save(opened, content)
    with pytest.raises(DataError, match=sentence) as refused:
        make_dataset("array", file=str(file))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("foldr", {}, "unknown data set 'foldr': did you mean 'folder'?"),
        ("folder", {}, "needs its root"),
        ("folder", {"rot": "x"}, "has no option 'rot': did you mean 'root'?"),
        ("folder", {"root": "x", "size": 2}, "size is 2, expected a whole number from 4"),
        ("folder", {"root": "x", "size": "big"}, "size is 'big': expected a whole number"),
        ("folder", {"root": "x", "instances": 1}, "instances is 1, expected at least 2"),
        ("folder", {"root": "x", "test": 1.0}, "share test is 1.0"),
        ("folder", {"root": "x", "test": 0.5, "validation": 0.5}, "leave no class to train on"),
        ("folder", {"root": "x", "split_seed": -1}, "split_seed is -1"),
        ("array", {}, "needs its file"),
        ("omniglot", {"source": "fake"}, "choose one of 'auto', 'real', 'generated'"),
        ("own_sets:Missing", {}, "module 'own_sets' has no 'Missing'"),
        ("own_sets:number", {}, "is a int: expected a class or a function"),
        ("own_sets:nothing", {}, "is a NoneType: expected what lukasa.tasks.few_shot_data.FewShotData describes"),
        ("own_sets:needy", {}, "option 'sides' of data set 'own_sets:needy' has no default"),
    ],
)
def test_bad_option_is_one_sentence(tmp_path, monkeypatch, name, options, sentence):
    (tmp_path / "own_sets.py").write_text(OWN)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "own_sets", raising=False)
    with pytest.raises(ValueError, match=re.escape(sentence)) as refused:
        make_dataset(name, **options)
    assert "\n" not in str(refused.value)


OWN = '''
import torch
from lukasa.tasks.class_arrays import ClassArray

number = 3


def nothing():
    return None


def needy(*, sides: int):
    return None


def noise(*, classes: int = 20):
    """Noise of one's own."""
    return ClassArray(torch.rand(classes, 5, 8), title="own noise")
'''


def test_data_set_of_ones_own_goes_by_its_module(tmp_path, monkeypatch):
    (tmp_path / "own_sets.py").write_text(OWN)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "own_sets", raising=False)
    assert {name: one.default for name, one in dataset_options("own_sets:noise").items()} == {"classes": 20}
    assert make_dataset("own_sets:noise", classes=10).load("test").source == "own noise (test, 2 classes)"


def test_pictures_in_colour_are_turned_and_moved_like_grey_ones():
    grey = torch.rand(3, 4, 6, 6)
    colour = grey.unsqueeze(2).repeat(1, 1, 3, 1, 1)
    settings = {"turns": True, "augmentation": Augmentation()}
    classes, instances = torch.arange(12), torch.arange(12) % 4
    taken = [
        Examples(values, "", **settings).take(classes, instances, torch.Generator().manual_seed(0))
        for values in (grey, colour)
    ]
    for channel in range(3):
        assert torch.allclose(taken[1][:, channel], taken[0], atol=1e-6)


def test_tensor_in_python_needs_no_file():
    values = torch.randn(30, 5, 2, requires_grad=True)
    data = ClassArray(values, test=0.5)
    assert data.load("test").classes == 15
    assert not data.load("train").values.requires_grad
