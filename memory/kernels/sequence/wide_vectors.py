"""Compiled functions that use the processor's widest vectors, and such whose arrays lie apart.

LLVM holds back from vectors of 512 bits, which slowed the clock of early processors that had them: by default it makes
loops of 256 bits. Products of matrices are half as fast again with the widest. An attribute of a function asks for
them, and means nothing where a processor has none. Numba has no option for it, so it is added where Numba makes the
function.
"""

from __future__ import annotations

from typing import Any

from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import register_pass
from numba.core.lowering import Lower
from numba.core.typed_passes import NativeLowering

WIDEST = '"prefer-vector-width"="512"'


class _WideLower(Lower):
    def setup_function(self, fndesc: Any) -> None:
        super().setup_function(fndesc)
        set.add(self.function.attributes, WIDEST)  # its own ``add`` knows no attributes of a processor


@register_pass(mutates_CFG=True, analysis_only=False)
class _WideLowering(NativeLowering):
    _name = "wide_lowering"

    @property
    def lowering_class(self) -> Any:
        return _WideLower


class WideCompiler(CompilerBase):
    """Numba's own way, with the attribute."""

    def define_pipelines(self) -> list[Any]:
        """As Numba's default."""
        passes = DefaultPassBuilder.define_nopython_pipeline(self.state)
        passes.passes = [(_WideLowering if step is NativeLowering else step, why) for step, why in passes.passes]
        passes.finalize()
        return [passes]


class ApartCompiler(WideCompiler):
    """The same, and the compiler is told that no array of the arguments overlaps another; Numba has a flag for it."""

    def define_pipelines(self) -> list[Any]:
        """As above."""
        self.state.flags.noalias = True
        return super().define_pipelines()
