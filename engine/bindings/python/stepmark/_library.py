"""Finds the native library: where STEPMARK_NATIVE says, else inside this package."""

import importlib
import os
import sys
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_loader
from types import ModuleType
from typing import TYPE_CHECKING

_NAME = "stepmark._native"


def _load() -> ModuleType:
    path = os.environ.get("STEPMARK_NATIVE")
    try:
        if not path:
            return importlib.import_module(_NAME)
        loader = ExtensionFileLoader(_NAME, path)
        spec = spec_from_loader(_NAME, loader)
        assert spec is not None  # there is one for a loader
        module = module_from_spec(spec)
        loader.exec_module(module)
        sys.modules[_NAME] = module
        return module
    except ImportError as error:
        where = f"STEPMARK_NATIVE, {path}," if path else "its place in the package"
        raise ImportError(
            f"stepmark's native library can't be loaded from {where} ({error}): build it with "
            "`make bindings` in stepmark's folder, or let STEPMARK_NATIVE name a "
            "libstepmark_python.so of this version"
        ) from None


__all__ = ["native"]

if TYPE_CHECKING:
    from . import _native as native
else:
    native = _load()
