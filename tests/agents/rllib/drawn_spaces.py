"""Spaces of every kind that Gymnasium can build, drawn at random, and an environment that has them."""

import math
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, Graph, MultiBinary, MultiDiscrete, OneOf, Sequence, Text, Tuple
from hypothesis import strategies as st

FLOATS = (np.float16, np.float32, np.float64)
INTEGERS = (np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.uint64, np.int64)
FORMS = ("as the space says", "lists", "wide numbers", "arrays of one number", "another order", "one buffer")
SHAPES = ((), (1,), (3,), (2, 2), (8, 8, 12), (12, 12, 3), (3, 14, 12), (2, 3, 2, 2), (1, 1), (12, 20))

shapes = st.sampled_from(SHAPES)


@st.composite
def boxes(draw, shapes=shapes):
    """Boxes: bounded, open to one or both sides, or each number in its own way; of all dtypes."""
    shape, dtype = draw(shapes), draw(st.sampled_from((*FLOATS, *INTEGERS, np.bool_)))
    if dtype is np.bool_:
        return Box(0, 1, shape, np.bool_)
    if dtype in INTEGERS:
        info = np.iinfo(dtype)
        low = draw(st.sampled_from([0, 1, max(info.min, -3), info.min]))
        high = draw(st.sampled_from([low, low + 1, low + 40, info.max]))
        return Box(low, high, shape, dtype)
    widest = float(np.finfo(dtype).max)
    low, high = draw(
        st.sampled_from(
            [(-1.0, 1.0), (0.0, 255.0), (2.5, 2.5), (-np.inf, np.inf), (0.0, np.inf), (-np.inf, 3.0), (-widest, widest)]
        )
    )
    if draw(st.booleans()) and shape:
        lows, highs = np.full(shape, low, dtype), np.full(shape, high, dtype)
        lows.flat[0], highs.flat[0] = -2.0, 7.0
        return Box(lows, highs, shape, dtype)
    return Box(low, high, shape, dtype)


discretes = st.builds(
    lambda n, start: Discrete(n, start=start), st.integers(1, 9), st.sampled_from([0, 1, -4, 10**12, -(10**12)])
)


@st.composite
def multi_discretes(draw):
    """Of one or two axes, from zero or from anywhere."""
    shape = draw(st.sampled_from([(1,), (3,), (2, 2)]))
    counts = np.array(draw(st.lists(st.integers(1, 6), min_size=math.prod(shape), max_size=math.prod(shape))))
    start = draw(st.sampled_from([None, 1, -7]))
    return MultiDiscrete(counts.reshape(shape), start=None if start is None else np.full(shape, start))


multi_binaries = st.sampled_from([1, 3, (2, 2), (2, 1, 3)]).map(MultiBinary)
strange = st.sampled_from(
    [
        lambda: Text(5),
        lambda: Sequence(Discrete(3)),
        lambda: Graph(Box(-1, 1, (2,)), Discrete(3)),
        lambda: OneOf([Discrete(2), Box(-1, 1, (2,))]),
        lambda: Dict({}),
        lambda: Tuple([]),
        lambda: Box(-1.0, 1.0, (0,)),
        lambda: Box(-1.0, 1.0, (3,), np.longdouble),
        lambda: Discrete(10**9),
        lambda: MultiDiscrete([10**7, 2]),
    ]
).map(lambda build: build())
names = st.sampled_from(["a", "b", "two words", "x.y", "observation", "rewards"])


def composed(parts):
    """Dicts and tuples of parts."""
    return st.one_of(
        st.dictionaries(names, parts, min_size=1, max_size=3).map(Dict),
        st.lists(parts, min_size=1, max_size=3).map(Tuple),
    )


usual = st.one_of(boxes(), discretes, multi_discretes(), multi_binaries)
spaces = st.recursive(st.one_of(usual, usual, usual, usual, strange), composed, max_leaves=4)


def leaves(space):
    """The parts of a space that are none of others."""
    if isinstance(space, Dict | Tuple):
        for part in space.values() if isinstance(space, Dict) else space:
            yield from leaves(part)
    else:
        yield space


def has_nothing(space):
    """Whether a space or a part of it is an empty dict or tuple, which Gymnasium's vector environments do not step."""
    if not isinstance(space, Dict | Tuple):
        return False
    return not len(space) or any(map(has_nothing, space.values() if isinstance(space, Dict) else space))


def is_usual(space, as_actions=False):
    """Whether a space has to be supported."""
    parts = list(leaves(space))
    kinds = (Box, Discrete, MultiDiscrete, MultiBinary)
    if not all(isinstance(part, kinds) and part.dtype != np.longdouble for part in parts):
        return False
    if as_actions and has_nothing(space):
        return False
    numbers = sum(math.prod(part.shape) for part in parts)
    options = [int(part.n) for part in parts if isinstance(part, Discrete)]
    options += [int(n) for part in parts if isinstance(part, MultiDiscrete) for n in part.nvec.flat]
    return numbers > 0 and sum(options) < 10**6


def written(space: Any, value: Any, form: str) -> Any:
    """An observation as an environment may write it."""
    if isinstance(space, Dict):
        parts = [(name, written(part, value[name], form)) for name, part in space.items()]
        return dict(reversed(parts)) | {"not of the space": 0} if form == "another order" else dict(parts)
    if isinstance(space, Tuple):
        parts = [written(part, one, form) for part, one in zip(space, value, strict=True)]
        return parts if form == "lists" else tuple(parts)
    value = np.asarray(value)
    if form == "lists":
        return value.tolist()
    if form == "wide numbers" and value.dtype.kind == "f":
        return value.astype(np.float64)
    if form == "wide numbers" and value.dtype.kind == "i":
        return value.astype(np.int64)
    if form == "arrays of one number" and value.size == 1:
        return value.reshape(1) if value.ndim == 0 else value.reshape(())
    return value


class Drawn(gym.Env):
    """An environment of given spaces, whose episodes have four steps; refuses actions that lie outside.

    Args:
        case: observation space, action space and form, by their place in ``Drawn.cases``.
    """

    cases: ClassVar[list[tuple[gym.Space, gym.Space, str]]] = []

    def __init__(self, case: int):
        self.observation_space, self.action_space, self.form = self.cases[case]
        self.steps = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        if seed is not None:
            self.observation_space.seed(seed)
        self.steps = 0
        return self._observation(), {}

    def step(self, action):
        if action not in self.action_space:
            raise AssertionError(f"action {action!r} lies outside of {self.action_space}")
        self.steps += 1
        return self._observation(), float(self.steps), self.steps == 4, False, {}

    def _observation(self):
        return written(self.observation_space, sampled(self.observation_space), self.form)


def sampled(space: Any) -> Any:
    """An observation out of a space, without the infinities that Gymnasium draws from boxes of the widest bounds."""
    if isinstance(space, Dict):
        return {name: sampled(part) for name, part in space.items()}
    if isinstance(space, Tuple):
        return tuple(map(sampled, space))
    if not isinstance(space, Box):
        return space.sample()
    try:
        value = space.sample()
    except (OverflowError, ValueError):  # Gymnasium's own, where high - low is more than the numbers hold
        value = np.zeros(space.shape, space.dtype)
    if space.dtype.kind == "f":
        value = np.nan_to_num(value, posinf=1.0, neginf=-1.0)
    return np.clip(value, space.low, space.high).astype(space.dtype)


gym.register("Drawn-v0", entry_point=Drawn)
