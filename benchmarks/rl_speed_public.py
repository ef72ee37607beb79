"""The RecurrentPPO of sb3-contrib with the settings of a recipe; run by a Python that has it, see ``rl_speed.py``."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import torch
from sb3_contrib import RecurrentPPO  # pyright: ignore[reportMissingImports]
from stable_baselines3.common.vec_env import DummyVecEnv  # pyright: ignore[reportMissingImports]

from lukasa import envs

ENV, COPIES, STEPS, MINIBATCH, EPOCHS, WARM_UP = "popgym-RepeatPreviousEasy-v0", 32, 51, 816, 8, 2


def main(recipe: str, iterations: str) -> None:
    """Measure, and print the seconds; ``recipe`` is that of the LSTM."""
    assert recipe == "repeat_previous_lstm"
    torch.set_num_threads(1)
    network = {
        "lstm_hidden_size": 64,
        "net_arch": {"pi": [], "vf": [64]},
        "shared_lstm": True,
        "enable_critic_lstm": False,
    }
    settings: dict[str, Any] = {"n_steps": STEPS, "batch_size": MINIBATCH, "n_epochs": EPOCHS, "learning_rate": 3e-3}
    vector = DummyVecEnv([lambda: envs.make(ENV)] * COPIES)
    model = RecurrentPPO("MlpLstmPolicy", vector, policy_kwargs=network, device="cpu", seed=0, **settings)
    seconds: dict[str, list[float]] = {"sampling": [], "learning": [], "all": []}

    def timed(name: str, function: Any) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            began = time.process_time()
            found = function(*arguments, **options)
            seconds[name].append(time.process_time() - began)
            return found

        return call

    model.collect_rollouts = timed("sampling", model.collect_rollouts)
    model.train = timed("learning", model.train)
    model.learn(COPIES * STEPS * (WARM_UP + int(iterations)))
    seconds["all"] = [sum(both) for both in zip(seconds["sampling"], seconds["learning"], strict=True)]
    print("measured: " + json.dumps({name: found[WARM_UP:] for name, found in seconds.items()}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
