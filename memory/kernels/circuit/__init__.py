"""A step of a Neural Random-Access Machine in native code; README.md has the derivation."""
