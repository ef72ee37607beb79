"""``lukasa eval`` of an agent: its return over fresh episodes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from lukasa.ground.mistakes import UserError, as_user_error
from lukasa.launch.kinds.ablation import Part, chosen_parts, named, scores_table, title_of
from lukasa.launch.kinds.figures import Result, figure, wiped_rows
from lukasa.launch.kinds.kind import Evaluation
from lukasa.launch.kinds.rl.experiment import RLExperiment
from lukasa.launch.kinds.rl.greedy import note_on_greedy
from lukasa.launch.options.bounds import check_least
from lukasa.launch.options.fields import Switch
from lukasa.launch.runs.checkpoints import Checkpoint, find_checkpoint, fitting, load_checkpoint
from lukasa.launch.runs.directory import Run, read_metrics

STEPS_OF_REPORT, FEWEST = 4000, 8
"""Steps of each row of the table that ends a training, about, and the fewest episodes."""


@dataclass(frozen=True)
class EvalOptions:
    """Run episodes of a trained agent and report its return.

    Attributes:
        episodes: number of episodes to play.
        checkpoint: which checkpoint to play: best, last, or its name.
        explore: draw actions from the policy instead of taking the likeliest.
        seed: seed of the episodes.
        env_settings: play in the environment with other settings than in training, as NAME VALUE pairs: corridor 70.
        max_steps: cut episodes off after so many steps; 10,000 by default, or the environment's own limit if larger.
        without: wipe a part of what the agent carries before every step: its memory, its controller, or both.
        ablation: print a table: the agent intact, with each part wiped in turn, and random actions.
        video: write the first episode to a file as well, FILE.mp4 or FILE.gif; needs the extra video.
        json: print one JSON object.
    """

    episodes: int = 100
    checkpoint: str = "best"
    explore: Switch = False
    seed: int = 1_000_000
    env_settings: dict[str, Any] = field(default_factory=dict)
    max_steps: int | None = None
    without: Part | None = None
    ablation: Switch = False
    video: str | None = None
    json: Switch = False


@dataclass(frozen=True)
class Agent:
    """A trained agent out of a run directory."""

    run: Run
    experiment: RLExperiment
    checkpoint: Checkpoint
    module: Any


def evaluate(run: Run, experiment: RLExperiment, options: EvalOptions) -> dict[str, Any]:
    """Run the episodes and sum them up; the keys are those that ``lukasa eval --json`` prints.

    Raises:
        UserError: there is no such checkpoint, or the agent has nothing to wipe there.
    """
    check_least(options, episodes=1, max_steps=1)
    from lukasa import envs
    from lukasa.launch.kinds.rl.agent_episodes import Play, ablated, film, play, with_settings
    from lukasa.launch.kinds.rl.videos import check_video

    video = None if options.video is None else check_video(options.video)

    agent = load_agent(run, experiment, options.checkpoint, several=True)
    experiment = with_settings(experiment, options.env_settings)
    parts = _parts_to_wipe(agent.module, options)
    print(f"{options.episodes} episodes of {agent.checkpoint.path}", file=sys.stderr)
    how = Play(options.episodes, options.seed, options.explore, max_steps=options.max_steps)
    if video is not None:
        film(agent.module, experiment, how, video, parts[0])
        print(f"video of the first episode: {video}", file=sys.stderr)
    found = ablated(agent.module, experiment, how, parts) if options.ablation else {}
    known = envs.ENVIRONMENTS.get(experiment.env)
    played = found["rows"][0] if found else play(agent.module, experiment, how, parts[0])
    as_trained = not options.explore and parts[0] is None and not options.env_settings
    result = {
        "run": str(run.path),
        "checkpoint": agent.checkpoint.name,
        "env": experiment.env,
        "env_settings": experiment.env_settings,
        "core": experiment.core,
        "explore": options.explore,
        "seed": options.seed,
        **played,
        "note": note_on_greedy(read_metrics(run), agent.checkpoint.step, played) if as_trained else None,
        "score": envs.score_unit(experiment.env),
        "chance": known and known.chance,
        "best": known and known.best,
    }
    return result | ({"ablation": found["rows"], "random_actions": found["random_actions"]} if found else {})


def _parts_to_wipe(module: Any, options: EvalOptions) -> list[str | None]:
    from lukasa.agents.rllib.ablation import check_wipeable, wipeable
    from lukasa.launch.kinds.rl.many_agents import core_of

    core = core_of(module)
    parts = wipeable(module, core)
    return chosen_parts(parts, options.without, options.ablation, lambda part: check_wipeable(module, part, core))


def ablation_report(run: Run, experiment: RLExperiment) -> str:
    """What is left of the agent that was just trained with parts of it wiped: lines that end a training.

    Plays as many episodes as the experiment asks for, and fewer where they are long, so that it takes seconds.
    """
    from lukasa.agents.rllib.ablation import wipeable
    from lukasa.launch.kinds.rl.agent_episodes import Play, ablated
    from lukasa.launch.kinds.rl.many_agents import core_of

    agent = load_agent(run, experiment, "best", several=True)
    parts = wipeable(agent.module, core_of(agent.module))
    if not parts:
        return f"core {experiment.core} carries nothing from one step to the next: there is no memory to be wiped"
    steps = max(1.0, read_metrics(run)[-1]["episode_length"] or 1.0)
    episodes = min(experiment.ablation, max(FEWEST, int(STEPS_OF_REPORT / steps)))
    found = ablated(agent.module, experiment, Play(episodes, EvalOptions.seed), [None, *parts])
    counted = f"{agent.checkpoint.name}, {episodes} episodes"
    if note_on_greedy(read_metrics(run), agent.checkpoint.step, found["rows"][0]):
        found = ablated(agent.module, experiment, Play(episodes, EvalOptions.seed, explore=True), [None, *parts])
        counted += ", actions drawn: the likeliest ones do worse"
    return f"what its memory is for ({counted}):\n{ablation_table(found['rows'], found['random_actions'])}"


def load_agent(run: Run, experiment: RLExperiment, which: str, *, several: bool = False) -> Agent:
    """Rebuild the agent of a run from its config and a checkpoint, with the weights that earned the checkpoint's score.

    Args:
        run: where it was trained.
        experiment: what was trained.
        which: checkpoint.
        several: whether it may be the policies of several agents, whose ``module`` is RLlib's ``MultiRLModule``.

    Raises:
        UserError: there is no such checkpoint, it is cut short, or there are several agents.
    """
    checkpoint = find_checkpoint(run.checkpoints, which)
    state = load_checkpoint(checkpoint)

    import torch

    from lukasa.launch.kinds.rl.algorithms import make_config, make_module, played_weights, restore_files
    from lukasa.launch.kinds.rl.many_agents import apart, cast_of
    from lukasa.launch.ray.quiet import quiet_libraries

    cast = cast_of(experiment)
    if cast and not several:
        raise UserError(f"run {run.path} has {len(cast.policies)} agents, and this is for one: lukasa eval plays them")
    torch.set_num_threads(experiment.threads)
    with quiet_libraries():
        with as_user_error("", ImportError):
            module = make_module(make_config(experiment), experiment)
        with fitting(checkpoint):
            weights = played_weights(state)
            module.set_state(apart(weights) if cast else weights)
            restore_files(module, state)
    return Agent(run, experiment, checkpoint, module)


def describe(result: dict[str, Any]) -> None:
    """Print the result for people."""
    title = f"{result['core']} on {result['env']}, {result['checkpoint']}, {result['episodes']} episodes"
    if result["env_settings"]:
        title += "".join(f", {name} {value}" for name, value in result["env_settings"].items())
    lines = [title + title_of(result["without"])]
    if "ablation" in result:
        lines += [ablation_table(result["ablation"], result["random_actions"])]
    else:
        scores = {"mean return ": ("return_mean", "return_interval")}
        if "success_rate" in result:
            scores["success rate"] = ("success_rate", "success_interval")
        for name, (mean, within) in scores.items():
            low, high = result[within]
            lines.append(f"{name}  {result[mean]:.3f}   95 % confidence {low:.3f} to {high:.3f}")
        lines += [f"{agent:12}  {mean:.3f}" for agent, mean in result.get("agent_returns", {}).items()]
    if result.get("cut_off"):
        lines.append(
            f"{result['cut_off']} of {result['episodes']} episodes came to no end and were cut off after "
            f"{result['length_longest']:,} steps: --max-steps N plays longer ones"
        )
    if result["note"]:
        lines.append(result["note"])
    if result["best"] is not None:
        lines.append(f"{result['score']}: chance {result['chance']:g}, best {result['best']:g}")
    print("\n".join(lines))


def ablation_table(rows: Sequence[dict[str, Any]], at_random: dict[str, Any]) -> str:
    """What is left of an agent, for people: the success rate where there is one, else the return.

    Args:
        rows: of ``agent_episodes.play``, the intact agent's first.
        at_random: the same of random actions.
    """
    successes = "success_rate" in at_random
    mean, within = ("success_rate", "success_interval") if successes else ("return_mean", "return_interval")
    lines = [(named(row["without"]), row[mean], row[within]) for row in rows]
    lines.append(("(random actions)", at_random[mean], at_random[within]))
    return scores_table(lines, "success rate" if successes else "mean return")


def figure_of(result: Result) -> dict[str, Any]:
    """The success rate where there is one, else the return."""
    of = f"{result['episodes']} episodes"
    wiped = wiped_rows(result)
    if "success_rate" in result:
        return figure("success rate", result, key="success_rate", interval="success_interval", of=of, ablation=wiped)
    return figure(
        "mean return",
        result,
        key="return_mean",
        interval="return_interval",
        of=of,
        chance=result["chance"],
        best=result["best"],
        ablation=wiped,
    )


EVALUATION = Evaluation(EvalOptions, evaluate, describe, figure=figure_of)
"""How agents are evaluated."""
