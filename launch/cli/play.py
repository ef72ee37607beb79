"""``lukasa play``: an agent out of its file, or one that is served, in an environment; without Ray."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lukasa.ground.mistakes import UserError, as_user_error
from lukasa.launch.kinds.ablation import Part
from lukasa.launch.options.bounds import check_least
from lukasa.launch.options.fields import Switch, split_words
from lukasa.launch.options.parsing import parse
from lukasa.launch.runs.model_files import is_model, located, nearest_model, run_in


@dataclass(frozen=True)
class PlayOptions:
    """Play episodes with an agent out of its file, or with one that lukasa serve serves.

    Attributes:
        env: id of the environment; that of its training by default.
        env_settings: settings of the environment, as NAME VALUE pairs; those of its training by default.
        episodes: number of episodes to play.
        explore: draw actions instead of taking the likeliest.
        seed: seed of the episodes; the same as in lukasa eval.
        max_steps: cut episodes off after so many steps; 10,000 by default, or the environment's own limit if larger.
        without: wipe a part of what the agent carries before every step: its memory, its controller, or both.
        trust_core: import the core that the file names, where it is not one of lukasa's.
        json: print one JSON object.
    """

    env: str | None = None
    env_settings: dict[str, Any] = field(default_factory=dict)
    episodes: int = 10
    explore: Switch = False
    seed: int = 1_000_000
    max_steps: int | None = None
    without: Part | None = None
    trust_core: Switch = False
    json: Switch = False


def main(argv: Sequence[str]) -> int:
    """Play; returns the exit code."""
    words, rest = split_words(argv)
    options = parse(PlayOptions, rest, prog="lukasa play FILE")
    if len(words) != 1:
        raise UserError(
            "lukasa play takes one file, the name of a model, or the address of a served agent: "
            "lukasa play agent.lukasa"
        )
    check_least(options, episodes=1, max_steps=1)
    player, about, end = _player(words[0], options)
    env = options.env or about.get("env")
    if not isinstance(env, str):
        raise UserError(f"{words[0]} does not say where it was trained: name an environment by --env")
    from lukasa.launch.serving.episodes import play

    trained = about.get("env_settings") if options.env in (None, about.get("env")) else None
    settings = options.env_settings or (trained if isinstance(trained, dict) else {})
    with as_user_error():
        how = {"episodes": options.episodes, "seed": options.seed, "max_steps": options.max_steps, "end": end}
        found = {"agent": words[0], "without": options.without, **play(player, env, settings, **how)}
    print(json.dumps(found) if options.json else _described(found))
    return 0


def _player(source: str, options: PlayOptions) -> tuple[Any, dict[str, Any], Any]:
    """Who plays, where it came from, and who is told that a session is over."""
    if source.startswith(("http://", "https://")):
        from lukasa.launch.serving.client import AgentClient

        if options.without or options.explore or options.trust_core:
            raise UserError("--without, --explore and --trust-core are for files: give the last two to lukasa serve")
        client = AgentClient(source)
        return client, {}, client.end
    if Path(source).is_dir() and (Path(source) / "config.json").is_file():
        raise UserError(f"{source} is a run: lukasa eval {source} plays it, lukasa export makes a file of its agent")
    with as_user_error():
        path = agent_file(source)
        from lukasa.agents.portable import load_agent

        agent = load_agent(path, explore=options.explore, seed=options.seed, trust_core=options.trust_core)
        if options.explore:
            print(f"actions are drawn, with seed {options.seed}", file=sys.stderr)
        return agent.without(options.without) if options.without else agent, agent.about, None


def agent_file(source: str) -> Path:
    """The file of an agent, by its path or as a model by its name.

    Raises:
        UserError: there is none, or it holds what does not play.
    """
    path = located(Path(source))
    if not path.exists():
        near = nearest_model(path)
        or_model = f", or a model by its name: did you mean {near!r}?" if near else ""
        raise UserError(f"there is no agent at {source}: give the file that `lukasa export` wrote{or_model}")
    if path.is_file() and is_model(path):
        about = run_in(path).get("card", {}).get("about")
        raise UserError(f"{source} holds {about}, which plays no environment: lukasa eval {source} scores it")
    return path


def _described(found: dict[str, Any]) -> str:
    wiped = f", without {found['without']}" if found["without"] else ""
    lines = [f"{found['agent']} on {found['env']}, {found['episodes']} episodes{wiped}"]
    scores = {"mean return ": ("return_mean", "return_interval")}
    if "success_rate" in found:
        scores["success rate"] = ("success_rate", "success_interval")
    for name, (mean, within) in scores.items():
        low, high = found[within]
        lines.append(f"{name}  {found[mean]:.3f}   95 % confidence {low:.3f} to {high:.3f}")
    if found["cut_off"]:
        lines.append(f"{found['cut_off']} episodes came to no end and were cut off: --max-steps N plays longer ones")
    return "\n".join(lines)
