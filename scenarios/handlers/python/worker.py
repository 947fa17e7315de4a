"""The scenarios' step handlers in Python, as a worker program."""

import sys
from pathlib import Path

# This checkout's own package.
sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "engine/bindings/python"))

from handlers import make_worker

worker = make_worker()

if __name__ == "__main__":
    worker.run()
