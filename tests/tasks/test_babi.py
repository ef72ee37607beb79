"""bAbI stories, real and made: what is asked, of whom, and what chance is."""

import os

import pytest
import torch

from lukasa.tasks.babi import ANSWERS, Babi, MadeBabi
from lukasa.tasks.babi_files import FOLDER, TITLES, WORDS, read_stories, task_text
from lukasa.tasks.babi_stories import TELLERS
from lukasa.tasks.data import DataError
from tests.tasks.oracles import babi as oracle

REAL = pytest.mark.skipif(not os.environ.get("LUKASA_DATA"), reason="$LUKASA_DATA does not name the real data")


def possible_answers(stories) -> int:
    """Different answers among stories; one of several words counts as one answer."""
    found = set()
    for story in stories:
        answer: tuple = ()
        for word in [*story.answers, -1]:
            if word >= 0:
                answer += (word,)
            elif answer:
                found.add(answer)
                answer = ()
    return len(found)


@pytest.mark.parametrize("task", TELLERS)
def test_made_task_has_as_many_answers_as_the_real_one(task):
    batches = list(MadeBabi(tasks=(task,), stories=200).every(50))
    answers = torch.cat([batch.targets[batch.mask].flatten() for batch in batches])
    assert len(answers.unique()) == ANSWERS[task - 1]


@REAL
@pytest.mark.parametrize("task", range(1, 21))
def test_number_of_possible_answers_is_that_of_the_real_questions(task):
    stories = [story for part in ("train", "test") for story in _stories(task, part)]
    assert possible_answers(stories) == ANSWERS[task - 1]


def _stories(task: int, part: str):
    where, text = task_text(task, "en", part)
    return read_stories(text, where)


def test_joint_training_draws_each_task_as_often():
    sampler = MadeBabi(tasks=(1, 16), stories=50)
    batch = sampler.sample(2000, torch.Generator().manual_seed(0))
    colors = batch.inputs[..., WORDS.index("color")].any(1)
    assert colors.float().mean().item() == pytest.approx(0.5, abs=0.04)


@REAL
def test_train_and_validation_share_no_story_and_test_is_whole():
    sizes = {part: len(Babi(tasks=(1,), size="en", part=part)) for part in ("train", "validation", "test")}
    assert sizes == {"train": 180, "validation": 20, "test": 200}
    assert sum(len(batch.lengths) for batch in Babi(tasks=(1,), size="en", part="test").every(64)) == 200


@REAL
def test_reading_oracle_answers_the_real_questions():
    sampler = Babi(tasks=(1, 2, 3, 6, 15), size="en", part="test")
    right = total = 0
    for batch in sampler.every(100):
        for row, length in enumerate(batch.lengths.tolist()):
            found = oracle(batch.inputs[row, :length].numpy(), sampler.spec)
            for step, answer in found.items():
                right += answer == batch.targets[row, step].tolist()
                total += 1
    assert total == 5000
    assert right == total


def test_file_that_is_not_text_is_refused_by_name(tmp_path):
    file = tmp_path / FOLDER / "en" / f"qa1_{TITLES[0]}_train.txt"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"1 Mary moved to the b\x97throom.\n")
    with pytest.raises(DataError, match=r"qa1_single-supporting-fact_train.txt is not text \(byte 21\)"):
        task_text(1, "en", "train", str(tmp_path))
