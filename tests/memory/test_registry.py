"""Cores by name, and one clear sentence for a name or a value that cannot be used."""

import inspect
import re
from typing import Any, Literal, get_args, get_origin

import pytest
import torch

from lukasa import memory
from lukasa.memory.sparse.layout import IndexName, IndexOptions

SIZES: dict[str, Any] = {"input_size": 3, "output_size": 2}


def test_known_names_are_those_of_the_contract():
    assert {"ntm", "dnc", "sam", "dam", "lstm", "gru", "feedforward"} <= set(memory.CORES)


@pytest.mark.parametrize("name", memory.CORES)
def test_core_is_built_with_the_sizes_asked_for(name: str):
    core = memory.make_core(name, **SIZES)
    assert type(core) is memory.CORES[name]
    assert (core.input_size, core.output_size) == (3, 2)
    output, _ = core(torch.zeros(4, 3), core.initial_state(4))
    assert output.shape == (4, 2)


@pytest.mark.parametrize("name", memory.CORES)
def test_options_have_resolved_types_and_defaults_that_pass_their_own_check(name: str):
    options = memory.core_options(name)
    assert not {"input_size", "output_size", "self"} & set(options)
    for option in options.values():
        simple = option.annotation in (int, float, bool, IndexName, IndexOptions, dict[str, Any] | None)
        assert simple or get_origin(option.annotation) is Literal
        assert option.default is not inspect.Parameter.empty
    memory.check_core_options(name, {option: parameter.default for option, parameter in options.items()})


@pytest.mark.parametrize("name", memory.CORES)
def test_every_option_is_explained(name: str):
    explained = inspect.getdoc(memory.CORES[name]) or ""
    for option in memory.core_options(name):
        assert re.search(rf"^ +{option}: ", explained, re.MULTILINE), f"{name}.{option}"


@pytest.mark.parametrize("name", memory.CORES)
def test_every_choice_of_an_option_builds_a_core(name: str):
    for option, parameter in memory.core_options(name).items():
        for choice in get_args(parameter.annotation) if get_origin(parameter.annotation) is Literal else ():
            memory.unroll(memory.make_core(name, **SIZES, **{option: choice}), torch.zeros(1, 2, 3))


@pytest.mark.parametrize(
    ("name", "options", "attribute", "value"),
    [
        ("ntm", {"slots": 12, "word_size": 5, "read_heads": 2}, "read_weights", (1, 2, 12)),
        ("ntm", {"slots": 12, "write_heads": 3}, "write_weights", (1, 3, 12)),
        ("dnc", {"slots": 12, "word_size": 5}, "memory", (1, 12, 5)),
        ("dam", {"slots": 12, "word_size": 5}, "memory", (1, 12, 5)),
        ("sam", {"slots": 12, "heads": 3, "reads": 2}, "read_slots", (1, 3, 2)),
        ("lstm", {"size": 9, "layers": 2}, "hidden", (1, 2, 9)),
    ],
)
def test_options_take_effect(name: str, options: dict[str, Any], attribute: str, value: tuple[int, ...]):
    state = memory.make_core(name, **SIZES, **options).initial_state(1)
    assert getattr(state, attribute).shape == value


def test_paper_values_are_the_defaults_of_the_ntm():
    defaults = {name: parameter.default for name, parameter in memory.core_options("ntm").items()}
    assert (defaults["slots"], defaults["word_size"], defaults["shifts"]) == (128, 20, 3)
    assert (defaults["controller"], defaults["controller_size"]) == ("lstm", 100)


@pytest.mark.parametrize("name", memory.CORES)
def test_same_seed_gives_the_same_core(name: str):
    states = []
    for _ in range(2):
        torch.manual_seed(3)
        states.append(memory.make_core(name, **SIZES).state_dict())
    torch.testing.assert_close(states[0], states[1], rtol=0, atol=0)


@pytest.mark.parametrize(("wrong", "near"), [("dnd", "dnc"), ("ltsm", "lstm"), ("feed_forward", "feedforward")])
def test_unknown_core_names_the_nearest(wrong: str, near: str):
    for call in (lambda: memory.make_core(wrong, **SIZES), lambda: memory.core_options(wrong)):
        with pytest.raises(memory.UnknownNameError, match=rf"^unknown core '{wrong}': did you mean '{near}'\?$"):
            call()


def test_unknown_core_that_resembles_none_lists_all():
    with pytest.raises(memory.UnknownNameError, match=r"^unknown core 'quasar': known are ntm, dnc, "):
        memory.make_core("quasar", **SIZES)


@pytest.mark.parametrize(
    ("name", "wrong", "near"), [("ntm", "slot", "slots"), ("dnc", "readheads", "read_heads"), ("gru", "sise", "size")]
)
def test_unknown_option_names_core_and_nearest_option(name: str, wrong: str, near: str):
    for call in (
        lambda: memory.make_core(name, **SIZES, **{wrong: 4}),
        lambda: memory.check_core_options(name, {wrong: 4}),
    ):
        with pytest.raises(memory.UnknownNameError, match=f"option of core '{name}'.*'{wrong}'.*'{near}'"):
            call()


@pytest.mark.parametrize(
    ("name", "option", "value", "expected"),
    [
        *(("ntm", "slots", value, "a whole number of at least 1") for value in (0, -4, 2.5, "8", None, True, [8])),
        *(("dnc", "stop_usage_gradient", value, "True or False") for value in (1, "yes", None)),
        *(("ntm", "initial_memory", value, "a finite number") for value in ("small", None, True)),
        *(
            ("dnc", "controller", value, "choose one of 'lstm', 'gru', 'feedforward', 'attention'")
            for value in ("mlp", 1, None)
        ),
        ("ntm", "initial_reads", "zero", "choose one of 'learned', 'constant'"),
        ("lstm", "layers", 0, "a whole number of at least 1"),
        *(("sam", "index", value, "expected text") for value in (3, None)),
        ("sam", "storage", "float32", "choose one of 'full', 'float16', 'bfloat16'"),
        *(("sam", "index_options", value, "numbers by the names of options") for value in (3, {"probes": "8"}, {4: 4})),
    ],
)
def test_value_of_another_kind_is_refused(name: str, option: str, value: Any, expected: str):
    message = f"^option '{option}' of core '{name}' is {re.escape(repr(value))}: .*{expected}"
    for call in (memory.check_core_options, lambda name, options: memory.make_core(name, **SIZES, **options)):
        with pytest.raises(ValueError, match=message):
            call(name, {option: value})


@pytest.mark.parametrize("core", ["sam", "sdnc"])
def test_index_and_its_options_are_checked_before_anything_is_built(core: str):
    for options, message in (
        ({"index": "annoy"}, "unknown index 'annoy': known are auto, exact, faiss, lists, lsh"),
        ({"index": "exakt"}, r"unknown index 'exakt': did you mean 'exact'\?"),
        ({"index_options": {"probes": 8}}, "option 'probes' belongs to index 'faiss', not to 'auto'"),
        ({"index": "faiss", "index_options": {"probe": 8}}, "unknown option of index 'faiss': 'probe'"),
        ({"index": "nowhere:Index"}, "index 'nowhere:Index': there is no module 'nowhere' to import"),
        ({"index": "json:loads"}, "index 'json:loads' is loads: expected a class with the methods update, search"),
    ):
        with pytest.raises(memory.UnknownNameError if "belongs" not in message else ValueError, match=f"^{message}"):
            memory.check_core_options(core, options)


@pytest.mark.parametrize("what", ["input_size", "output_size"])
@pytest.mark.parametrize("value", [0, -1, 2.0, "3", True])
def test_sizes_are_checked_too(what: str, value: Any):
    with pytest.raises(
        ValueError, match=rf"'{what}' of core 'gru' is {re.escape(repr(value))}: expected a whole number"
    ):
        memory.make_core("gru", **{**SIZES, what: value})


@pytest.mark.parametrize("shifts", [2, 4, 9])
def test_even_or_too_many_shifts_are_refused(shifts: int):
    with pytest.raises(ValueError, match=f"'shifts' of core 'ntm' is {shifts}: expected an odd number, at most 8"):
        memory.make_core("ntm", **SIZES, slots=8, shifts=shifts)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_initial_memory_has_to_be_finite(value: float):
    with pytest.raises(ValueError, match="'initial_memory' of core 'ntm' is"):
        memory.make_core("ntm", **SIZES, initial_memory=value)


def test_a_whole_number_serves_where_a_number_is_expected():
    state: Any = memory.make_core("ntm", **SIZES, initial_memory=1).initial_state(1)
    assert state.memory.unique().tolist() == [1.0]
