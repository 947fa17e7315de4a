"""The scenarios' step handlers: a module for each kind of workflow."""

from decimal import Decimal

from stepmark import Worker

from . import approval, numbers, own, products


def make_worker() -> Worker:
    """A worker with all of them."""
    worker = Worker(parse_float=Decimal)  # through a float an amount of money would not be exact
    for module in numbers, approval, products, own:
        module.register(worker)
    return worker
