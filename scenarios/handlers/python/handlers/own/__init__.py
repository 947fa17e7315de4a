"""Workflows of one's own: each module in this folder registers its handlers with a function
``register(worker)``. ``stepmark workflow new`` makes such modules; ``test_*.py`` are their tests,
which ``make test-python OWN=NAME`` runs, and ``make test`` all of them.
"""

import importlib
import pkgutil

from stepmark import Worker


def register(worker: Worker) -> None:
    """Registers the handlers of them all."""
    for module in sorted(module.name for module in pkgutil.iter_modules(__path__)):
        if not module.startswith("test_"):
            importlib.import_module(f"{__name__}.{module}").register(worker)
