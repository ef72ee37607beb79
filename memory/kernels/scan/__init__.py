"""Linear recurrences h_t = a_t ∘ h_{t-1} + b_t over a whole sequence, real and complex, with resets inside it.

``choice`` decides whether a call can take compiled loops, without importing the compiler. README.md has the derivation.
"""

from lukasa.memory.kernels.scan.choice import complex_scan, is_native, scan

__all__ = ["complex_scan", "is_native", "scan"]
