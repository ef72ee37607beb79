"""What a memory agent computes, in torch and numpy alone: encoder, core, heads, and actions of any space.

``lukasa.agents.rllib`` trains it, and ``lukasa.agents.portable`` plays it without Ray and without Gymnasium.
"""
