"""What a memory agent is made of, as plain data that travels in RLlib's ``model_config``."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

import torch

from lukasa import memory
from lukasa.ground.options import check_value
from lukasa.memory.collecting import refuse_choices


@dataclass(frozen=True)
class MemorySettings:
    """The parts of a ``MemoryRLModule``.

    Attributes:
        core: a key of ``memory.CORES``, or the import path of a core of your own, ``"package.module:Class"``.
        core_options: the core's own options.
        embedding_size: width of what the encoder makes of one observation.
        output_size: width of what the core hands to the policy and value heads.
        previous_action: whether the core also sees the action before this observation (zeros at an episode's start).
        previous_reward: whether the core also sees the reward that came with this observation (zero at the start).
        normalize_observations: whether real numbers are seen centred and scaled by the moments of all seen so far.
        normalize_returns: whether the value head speaks in units of the spread of returns.
        orthogonal: whether the first weights are orthogonal matrices.
    """

    core: str = "gru"
    core_options: dict[str, Any] = field(default_factory=dict)
    embedding_size: int = 64
    output_size: int = 64
    previous_action: bool = False
    previous_reward: bool = False
    normalize_observations: bool = False
    normalize_returns: bool = False
    orthogonal: bool = False

    def __post_init__(self):
        """Refuse what cannot be built.

        Raises:
            UnknownNameError: the core or one of its options is unknown.
            ValueError: a value cannot be used.
        """
        memory.check_core_options(self.core, self.core_options)
        for name in ("embedding_size", "output_size"):
            check_value(name, getattr(self, name), int)

    @classmethod
    def from_model_config(cls, model_config: dict[str, Any]) -> MemorySettings:
        """Pick the settings out of a ``model_config`` that holds other keys as well."""
        return cls(**{name.name: model_config[name.name] for name in fields(cls) if name.name in model_config})

    def to_dict(self) -> dict[str, Any]:
        """The settings as a plain dict."""
        return asdict(self)

    def build_core(self, input_size: int, **found: Any) -> memory.Core:
        """The core, for inputs of the given width.

        Args:
            input_size: D.
            **found: options of the core that its surroundings decide.
        """
        sizes = {"input_size": input_size, "output_size": self.output_size}
        return memory.make_core(self.core, **sizes, **self.core_options | found)

    def refuse_choices(self) -> None:
        """Refuse a core that chooses at random, or rounds: a learner's pass would not do what the runner's did.

        Raises:
            ValueError: with these options it does.
        """
        with torch.random.fork_rng(devices=[]):  # what is drawn for this core is not missing later
            try:
                core = self.build_core(self.embedding_size)
            except Exception:  # of one's own, that other widths suit: the module says so when it builds it
                return
        refuse_choices(core, "an RLlib agent")
        if core.rounds:
            raise ValueError(
                f"with these options core {type(core).__name__} rounds what it does in evaluation mode, in which an "
                "RLlib agent acts, and not in training mode, in which it learns: choose options with which it does not,"
                " such as rounding 'never', or train it on a task (lukasa train task)"
            )


def core_path(core: str | type[memory.Core]) -> str:
    """The name or import path under which every process finds a core.

    Raises:
        ValueError: the class can only be found in this process.
    """
    if isinstance(core, str):
        return core
    if core.__module__ == "__main__" or "<locals>" in core.__qualname__:
        raise ValueError(
            f"core {core.__qualname__} lives in {core.__module__}, where remote runners cannot import it: "
            "move the class to the top level of a module of its own"
        )
    return f"{core.__module__}:{core.__qualname__}"
