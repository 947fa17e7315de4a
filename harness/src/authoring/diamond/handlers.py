"""The handlers of the workflow `@name@`."""

from stepmark import Fail, Step, Worker

#: The template's namespace, and the scenario's name.
NAMESPACE = "@name@_python"

#: What a task may be given: so small that no result is too large.
NUMBERS = range(-(2**15), 2**15)


def register(worker: Worker) -> None:
    """Registers the handlers, by the names that the template has for them."""
    worker.handler(NAMESPACE, "start")(start)
    worker.handler(NAMESPACE, "double")(double)
    worker.handler(NAMESPACE, "square")(square)
    worker.handler(NAMESPACE, "add")(add)


def start(step: Step) -> dict[str, int]:
    """Takes the task's number. Another attempt is given the same: this failure is permanent."""
    number = step.context.get("number")
    if type(number) is not int or number not in NUMBERS:
        raise Fail(f"number is {number!r}, not an integer from {NUMBERS[0]} to {NUMBERS[-1]}")
    return {"value": number}


def double(step: Step) -> dict[str, int]:
    """Doubles it."""
    return {"value": value_of(step, "start") * 2}


def square(step: Step) -> dict[str, int]:
    """Squares it."""
    return {"value": value_of(step, "start") ** 2}


def add(step: Step) -> dict[str, int]:
    """Adds what both have made."""
    return {"value": value_of(step, "double") + value_of(step, "square")}


def value_of(step: Step, parent: str) -> int:
    """The result of a step that this one depends on."""
    if parent not in step.parent_results:
        raise Fail(f"no {parent}")
    value: int = step.parent_results[parent]["value"]
    return value
