"""Curricula go on when they should, come back from their state, and refuse what cannot be followed."""

import json
from collections import Counter

import pytest
import torch

from lukasa import tasks
from lukasa.tasks import Doubling, Lessons, Uniform

THREE = [{"max_length": 1}, {"max_length": 2}, {"max_length": 3}]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_uniform_is_always_the_same():
    curriculum = Uniform({"max_length": 4})
    assert curriculum.draw(generator()) == {"max_length": 4}
    curriculum.report(3.0)
    assert curriculum.draw(generator()) == {"max_length": 4}


def test_lesson_ends_when_its_mean_reaches_mastery():
    curriculum = Lessons(THREE, mastery=90.0, review=0.0, window=2)
    for score, lesson in ((95.0, 0), (80.0, 0), (99.0, 0), (85.0, 1), (100.0, 1), (80.0, 2), (100.0, 2), (100.0, 2)):
        curriculum.draw(generator())
        curriculum.report(score)
        assert curriculum.lesson == lesson, score
    assert curriculum.state_dict()["history"] == [[0, 0], [4, 1], [6, 2]]


def test_lesson_may_ask_for_scores_below():
    curriculum = Lessons(THREE, mastery=0.5, window=1, higher_is_better=False)
    curriculum.report(0.6)
    assert curriculum.lesson == 0
    curriculum.report(0.4)
    assert curriculum.lesson == 1


def test_earlier_lessons_are_reviewed_each_as_often():
    curriculum = Lessons(THREE, mastery=90.0, review=0.25, window=1)
    curriculum.report(100.0)
    curriculum.report(100.0)
    random, seen = generator(), Counter()
    for _ in range(4000):
        settings = curriculum.draw(random)
        seen[settings["max_length"]] += 1
    assert seen[3] / 4000 == pytest.approx(0.75, abs=0.03)
    assert seen[1] / 4000 == pytest.approx(0.125, abs=0.02)


def test_reviews_do_not_count_towards_mastery():
    curriculum, random = Lessons(THREE, mastery=90.0, review=0.5, window=2), generator()
    for _ in range(2):
        curriculum.draw(random)
        curriculum.report(100.0)
    assert curriculum.lesson == 1
    while curriculum.draw(random) != THREE[0]:
        curriculum.report(0.0)
    curriculum.report(100.0)
    while curriculum.draw(random) != THREE[1]:
        curriculum.report(100.0)
    curriculum.report(100.0)
    assert curriculum.lesson == 1


def test_level_doubles_when_losses_stay_low_up_to_the_limit():
    curriculum = Doubling(["min_length", "max_length"], start=3, limit=10, threshold=1.0, window=2)
    levels = []
    for loss in (0.5, 0.5, 0.5, 2.0, 0.1, 0.1, 0.1, 0.1):
        curriculum.draw(generator())
        curriculum.report(loss)
        levels.append(curriculum.level)
    assert levels == [3, 6, 6, 6, 6, 10, 10, 10]
    assert curriculum.state_dict()["history"] == [[0, 3], [2, 6], [6, 10]]


def test_levels_are_drawn_uniformly_and_name_every_setting():
    curriculum = Doubling(["min_length", "max_length"], start=4, limit=8, threshold=1.0, lowest=2, settings={"bits": 3})
    random, seen = generator(), Counter()
    for _ in range(3000):
        settings = curriculum.draw(random)
        assert settings["min_length"] == settings["max_length"]
        assert settings["bits"] == 3
        seen[settings["max_length"]] += 1
    assert sorted(seen) == [2, 3, 4]
    assert min(seen.values()) > 900


CURRICULA = {
    "uniform": lambda: Uniform({"bits": 2}),
    "lessons": lambda: Lessons([{"max_length": n} for n in range(20)], mastery=55.0, review=0.6, window=4),
    "doubling": lambda: Doubling(["max_length"], start=2, limit=2**30, threshold=55.0, window=4),
}


@pytest.mark.parametrize("name", CURRICULA)
@pytest.mark.parametrize("cut", [3, 12, 21, 30, 41])
def test_resumed_curriculum_goes_on_as_the_uninterrupted_one(name, cut):
    random, results = generator(), torch.rand(60, generator=generator(1)).mul(100).tolist()
    whole, drawn, saved, at = CURRICULA[name](), [], {}, random.get_state()
    for step, result in enumerate(results):
        drawn.append(whole.draw(random))
        if step == cut:  # between draw and report, where the state knows most
            saved, at = json.loads(json.dumps(whole.state_dict())), random.get_state()
        whole.report(result)
    resumed, again = CURRICULA[name](), generator()
    resumed.load_state_dict(saved)
    again.set_state(at)
    resumed.report(results[cut])
    for step in range(cut + 1, 60):
        assert resumed.draw(again) == drawn[step]
        resumed.report(results[step])
    assert resumed.state_dict() == whole.state_dict()


def test_saved_state_does_not_move_with_the_curriculum():
    curriculum = Lessons(THREE, window=1)
    saved = curriculum.state_dict()
    curriculum.report(100.0)
    assert saved["history"] == [[0, 0]]


def test_state_of_another_curriculum_is_refused():
    state = Lessons(THREE).state_dict()
    with pytest.raises(ValueError, match="state is of a lessons curriculum of size 3, expected lessons of size 2"):
        Lessons(THREE[:2]).load_state_dict(state)
    with pytest.raises(ValueError, match="expected doubling of size 4"):
        Doubling(["a"], start=1, limit=4, threshold=1.0).load_state_dict(state)


IMPOSSIBLE = [
    (lambda: Lessons([]), "there is no lesson"),
    (lambda: Lessons(THREE, review=1.0), "review is 1.0, expected a share"),
    (lambda: Lessons(THREE, window=0), "window is 0, expected a whole number of batches"),
    (lambda: Lessons(THREE, mastery=float("nan")), "mastery is not a number"),
    (lambda: Doubling([], start=1, limit=2, threshold=1.0), "names is"),
    (lambda: Doubling("max_length", start=1, limit=2, threshold=1.0), "expected a list of settings"),
    (lambda: Doubling(["a"], start=8, limit=2, threshold=1.0), "start 8, limit 2"),
    (lambda: Doubling(["a"], start=2, limit=2, threshold=0.0), "threshold is 0.0, expected a loss above 0"),
    (lambda: Doubling(["a"], start=2, limit=2, threshold=1.0, settings={"a": 1}), "a is both a level and a fixed"),
]


@pytest.mark.parametrize(("build", "message"), IMPOSSIBLE)
def test_impossible_curriculum_is_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_curriculum_that_a_task_cannot_take_is_refused():
    tasks.check_curriculum("copy", Lessons(THREE))
    with pytest.raises(ValueError, match=r"task 'copy' cannot take {'max_lenght': 1}: .* did you mean 'max_length'"):
        tasks.check_curriculum("copy", Uniform({"max_lenght": 1}))
    with pytest.raises(ValueError, match=r"task 'copy' cannot take {'max_length': 1}: copy: min_length 5 is above"):
        tasks.check_curriculum("copy", Lessons(THREE), min_length=5)
    doubling = Doubling(["max_path"], start=2, limit=8, threshold=1.0, lowest=2)
    with pytest.raises(ValueError, match=r"task 'inference' cannot take {'max_path': 8}"):
        tasks.check_curriculum("inference", doubling)


def test_result_that_is_not_a_number_is_refused():
    with pytest.raises(ValueError, match="result of a batch is not a number"):
        Lessons(THREE).report(float("nan"))
