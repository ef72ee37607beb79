"""Operations with hand-derived gradients; each folder holds a plain reference, the fast version and its derivation."""
