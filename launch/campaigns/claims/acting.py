"""Agents in environments, with Ray RLlib."""

from __future__ import annotations

from lukasa.launch.campaigns.claims.claim import Bound, Claim, Quick, Trained


def _wiped(model: str, figure: str, least: float) -> Bound:
    """What an agent loses without its memory."""
    what = {"return_mean": "return", "success_rate": "success rate"}[figure]
    wiped = (model, f"ablation[without=memory].{figure}")
    return Bound(f"{what} that wiping the memory costs", model, figure, at_least=least, minus=wiped)


MEMORY_IS_USED = (
    Trained("ntm", "rl repeat_previous_medium_ntm", "--episodes 100 --ablation"),
    Trained("gru", "rl repeat_previous_medium_gru --steps 100000", "--episodes 100"),
)

CLAIMS = (
    Claim(
        "memory_is_used",
        "this suite",
        "An NTM recalls the card of 31 steps ago from its memory alone; a GRU does not learn it in the same time.",
        MEMORY_IS_USED,
        (
            Bound("mean return, NTM", "ntm", "return_mean", at_least=0.9),
            _wiped("ntm", "return_mean", 0.6),
            Bound("mean return, GRU", "gru", "return_mean", at_most=0.0),
        ),
        minutes=15,
        quick=Quick(
            minutes=2,
            says="one seed, without the GRU",
            models=MEMORY_IS_USED[:1],
            bounds=(Bound("mean return, NTM", "ntm", "return_mean", at_least=0.9), _wiped("ntm", "return_mean", 0.6)),
        ),
    ),
    Claim(
        "recurrent_dqn",
        "Kapturowski et al. 2019, Recurrent Experience Replay in Distributed Reinforcement Learning",
        "Replayed from stored states, a recurrent DQN learns to recall in fewer steps than PPO.",
        (
            Trained("dqn", "rl repeat_previous_dqn --stop-at 0.9", "--episodes 100 --ablation"),
            Trained("ppo", "rl repeat_previous_gru --stop-at 0.9", "--episodes 100"),
        ),
        (
            Bound("mean return, DQN", "dqn", "return_mean", at_least=0.85),
            Bound(
                "steps that PPO takes more to a return of 0.9",
                "ppo",
                "training.steps",
                at_least=0.0,
                minus=("dqn", "training.steps"),
            ),
            Bound(
                "return that wiping the state costs",
                "dqn",
                "return_mean",
                at_least=0.6,
                minus=("dqn", "ablation[without=controller].return_mean"),
            ),
        ),
        seeds=(0, 1),
        minutes=25,
    ),
    Claim(
        "episodic_control",
        "Pritzel et al. 2017, Neural Episodic Control",
        "NEC is ahead of PPO in the first steps: it has learned a grid with a key and a door after 10,000.",
        (
            Trained("nec", "rl key_door_nec --steps 10000", "--episodes 50"),
            Trained("ppo", "rl --env KeyDoor-S4-v0 --core feedforward --steps 10000", "--episodes 50"),
        ),
        (
            Bound("success rate, NEC", "nec", "success_rate", at_least=0.9),
            Bound("success rate ahead of PPO", "nec", "success_rate", at_least=0.5, minus=("ppo", "success_rate")),
        ),
        minutes=8,
        quick=Quick(minutes=3),
    ),
    Claim(
        "hindsight",
        "Andrychowicz et al. 2017, Hindsight Experience Replay",
        "With goals relabelled in hindsight a DQN learns to flip 10 bits; without them it does not.",
        (
            Trained("with", "rl bit_flipping_hindsight", "--episodes 100"),
            Trained("without", "rl bit_flipping_without_hindsight", "--episodes 100"),
        ),
        (
            Bound("success rate with", "with", "success_rate", at_least=0.9),
            Bound("success rate without", "without", "success_rate", at_most=0.1),
        ),
        minutes=12,
        quick=Quick(
            minutes=4,
            says="one seed, 10,000 steps without",
            models=(
                Trained("with", "rl bit_flipping_hindsight", "--episodes 100"),
                Trained("without", "rl bit_flipping_without_hindsight --steps 10000", "--episodes 100"),
            ),
        ),
    ),
    Claim(
        "memory_q_network",
        "Oh et al. 2016, Control of Memory, Active Perception, and Action in Minecraft",
        "A memory Q-network trained in corridors of at most 9 cells remembers its cue in corridors of 40.",
        (Trained("mqn", "rl i_maze_mqn --steps 240000", "--episodes 100 --env-settings lengths 40 --ablation"),),
        (
            Bound("success rate in 40 cells", "mqn", "success_rate", at_least=0.9),
            _wiped("mqn", "success_rate", 0.4),
        ),
        minutes=90,
    ),
    Claim(
        "neural_map",
        "Parisotto & Salakhutdinov 2018, Neural Map",
        "A map that the agent writes at its place finds goals in mazes better than an LSTM or a window of views.",
        tuple(
            Trained(core, f"rl goal_search_{core}", "--episodes 1000 --env-settings mazes test")
            for core in ("neural_map", "lstm", "mqn")
        ),
        (
            Bound("success rate, unknown mazes", "neural_map", "success_rate", at_least=0.95, paper="97.3 %"),
            Bound(
                "success rate ahead of the LSTM",
                "neural_map",
                "success_rate",
                at_least=0.0,
                minus=("lstm", "success_rate"),
            ),
            Bound(
                "success rate ahead of the MQN",
                "neural_map",
                "success_rate",
                at_least=0.0,
                minus=("mqn", "success_rate"),
            ),
        ),
        seeds=(0,),
        minutes=600,
    ),
    Claim(
        "bandit",
        "Duan et al. 2016, RL²",
        "A recurrent agent learns to find the best of 5 arms in 10 pulls, nearly as well as the Gittins index.",
        (Trained("gru", "rl bandit_gru", "--episodes 5000"),),
        (Bound("total reward of 10 pulls", "gru", "return_mean", at_least=6.5, paper="6.7"),),
        minutes=12,
    ),
    Claim(
        "bandit_100",
        "Duan et al. 2016, RL²",
        "A recurrent agent learns to find the best of 10 arms in 100 pulls: at least 80 of them pay.",
        (Trained("gru", "rl bandit_100_gru", "--episodes 2000"),),
        (Bound("pulls that pay", "gru", "return_mean", at_least=80.0, paper="83.5"),),
        seeds=(0, 1),
        minutes=60,
    ),
    Claim(
        "tabular_mdp",
        "Duan et al. 2016, RL²",
        "A recurrent agent learns to explore an unknown world of 10 states: 70 % of what value iteration earns.",
        (Trained("gru", "rl tabular_mdp_gru", "--episodes 1000"),),
        (Bound("total reward", "gru", "return_mean", at_least=152.8, paper="156.2"),),
        seeds=(0,),
        minutes=60,
    ),
    Claim(
        "t_maze_long",
        "Bakker 2001, Reinforcement learning with long short-term memory",
        "What was learned in corridors of 50 cells holds in corridors of 500.",
        (Trained("ntm", "rl tmaze_ntm", "--episodes 50 --env-settings corridor 500 --ablation"),),
        (Bound("success rate in 500 cells", "ntm", "success_rate", at_least=0.95), _wiped("ntm", "success_rate", 0.4)),
        minutes=20,
    ),
)
"""What shows a memory at work first."""
