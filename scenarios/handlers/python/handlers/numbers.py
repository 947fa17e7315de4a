"""The number workflows: exact integers of any size, as decimal strings in JSON."""

from math import prod
from typing import Any

from stepmark import Fail, Step, Worker

from .given import count, field, integer


def register(worker: Worker) -> None:
    """Registers the handlers of linear, diamond, DAG and tree."""
    for namespace in "linear", "diamond", "mixed_dag", "tree":
        worker.handler(f"python_e2e_{namespace}", "square")(square)
    for namespace in "diamond", "mixed_dag":
        worker.handler(f"python_e2e_{namespace}", "multiply_and_square")(multiply_and_square)
    for namespace in "mixed_dag", "tree":
        worker.handler(f"python_e2e_{namespace}", "multiply_all_and_square")(multiply_and_square)


def square(step: Step) -> dict[str, Any]:
    """Squares the value of its one parent, or the input where it has none."""
    values = parent_values(step)
    if len(values) > 1:
        raise Fail("square takes one parent at most")
    return squared(values[0] if values else given(step))


def multiply_and_square(step: Step) -> dict[str, Any]:
    """Multiplies the values of all parents, then squares."""
    values = parent_values(step)
    if not values:
        raise Fail("there is no parent to multiply the values of")
    return squared(prod(values))


def given(step: Step) -> int:
    """The same input would be as wrong at the next attempt."""
    even_number = count(step.context, "even_number")
    if even_number % 2 != 0:
        raise Fail(f"even_number is {even_number}, which is odd")
    return even_number


def parent_values(step: Step) -> list[int]:
    """By the parents' names."""
    values = []
    for name, result in sorted(step.parent_results.items()):
        value = field(result, "value", str)
        try:
            values.append(integer(value))
        except ValueError as error:
            raise Fail(f'{name} gave "{value}", not an integer: {error}') from None
    return values


def squared(value: int) -> dict[str, Any]:
    """A step's result."""
    return {"value": str(value * value)}
