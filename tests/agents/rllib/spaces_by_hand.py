"""``python -m tests.agents.rllib.spaces_by_hand 200``: train, play and draw agents on so many random spaces."""

import sys
import tempfile
import traceback
import warnings
from collections import Counter
from pathlib import Path

import ray
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from lukasa import envs
from lukasa.agents.rllib import rollout
from lukasa.launch.pictures.episodes import draw_episode
from lukasa.launch.pictures.observation_panels import episode_panels
from tests.agents.rllib.drawn_spaces import FORMS, Drawn, is_usual, spaces
from tests.agents.rllib.sampling import make_runner
from tests.agents.rllib.test_spaces import check, drawn_ppo

found, broken = Counter(), []


def draws(observation_space, action_space, form, folder):
    """Play an episode on the spaces and draw it, as ``lukasa plot`` does."""
    module = make_runner(drawn_ppo(observation_space, action_space, form)).module
    env = envs.make("Drawn-v0", case=len(Drawn.cases) - 1)
    (episode,) = rollout(module, env.unwrapped, 1, record=True, seed=3)
    draw_episode(episode_panels(env, episode), folder / "episode.png", title="drawn spaces", subtitle=form)


def attempt(observation_space, action_space, form, previous, folder):
    """One case: whether it was supported or refused, or what broke."""
    usual = is_usual(observation_space) and is_usual(action_space, as_actions=True)
    try:
        check(observation_space, action_space, form, previous)
        if usual:
            draws(observation_space, action_space, form, folder)
    except Exception as error:
        print(*traceback.format_exception(error)[-3:], flush=True)
        broken.append(f"{observation_space} | {action_space} | {form} | {type(error).__name__}: {str(error)[:300]}")
    else:
        found["trained, played and drawn" if usual else "refused"] += 1


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    ray.init(address="local", num_cpus=2, num_gpus=0, include_dashboard=False, log_to_driver=False)
    with tempfile.TemporaryDirectory() as name:

        @seed(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
        @settings(
            max_examples=int(sys.argv[1]),
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(spaces, spaces, st.sampled_from(FORMS), st.booleans())
        def campaign(observation_space, action_space, form, previous):
            attempt(observation_space, action_space, form, previous, Path(name))
            tried = sum(found.values()) + len(broken)
            if tried % 20 == 0:
                print(tried, dict(found), "broken", len(broken), flush=True)

        campaign()
    print(dict(found), "broken", len(broken))
    for line in broken:
        print("  ", line)
    ray.shutdown()
