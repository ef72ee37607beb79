"""Names that are not known, and what is for users."""

import pickle

import pytest

from lukasa import envs, memory, tasks
from lukasa.ground.mistakes import TrainingError, UserError, as_user_error
from lukasa.ground.names import MOST_NAMED, UnknownNameError, nearest, unknown


def test_the_nearest_is_named_or_all_are():
    assert nearest("coppy", ["copy", "recall"]) == "did you mean 'copy'?"
    assert nearest("xyz", ["copy", "recall"]) == "known are copy, recall"
    assert nearest("xyz", []) == "there are none"
    assert unknown("recipe", "coppy", ["copy"]) == "unknown recipe 'coppy': did you mean 'copy'?"


def test_as_many_are_named_as_can_be_read():
    known = [f"name_{number}" for number in range(MOST_NAMED + 2)]
    assert nearest("zzz", known).endswith("name_39 and 2 more")
    assert nearest("zzz", known[:-1]).endswith("name_40")


@pytest.mark.parametrize(
    "error",
    [memory.UnknownNameError, tasks.UnknownTaskError, tasks.UnknownDatasetError, envs.UnknownEnvironmentError],
)
def test_an_unknown_name_is_a_mistake_of_the_user_and_a_value_error(error):
    assert issubclass(error, UserError)
    assert issubclass(error, ValueError)
    assert issubclass(error, UnknownNameError)
    said = pickle.loads(pickle.dumps(error("unknown core 'x'")))  # as it comes from a worker
    assert (type(said), str(said)) == (error, "unknown core 'x'")


def test_what_is_missing_is_a_mistake_of_the_user_too():
    assert issubclass(tasks.DataError, UserError)
    assert issubclass(envs.MissingExtraError, UserError)
    assert issubclass(envs.MissingExtraError, ImportError)
    assert not issubclass(TrainingError, UserError)


def test_a_refused_value_becomes_a_mistake_of_the_user():
    with pytest.raises(UserError, match=r"^--size: too small$") as refused, as_user_error("--size: "):
        raise ValueError("too small")
    assert refused.value.__suppress_context__
    with pytest.raises(UserError, match=r"^no such package$"), as_user_error("", ImportError):
        raise ImportError("no such package")


def test_other_errors_and_sentences_for_users_pass_as_they_are():
    with pytest.raises(TypeError), as_user_error():
        raise TypeError
    with pytest.raises(UnknownNameError, match=r"^unknown core$"), as_user_error("before: "):
        raise UnknownNameError("unknown core")
