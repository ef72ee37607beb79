"""Networks that move stacks or lists over a whole sequence, with resets inside it. README.md has the derivation.

``running`` and what it imports is compiled by Numba at the first call.
"""
