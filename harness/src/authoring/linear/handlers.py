"""The handlers of the workflow `@name@`."""

from stepmark import Fail, Step, Worker

#: The template's namespace, and the scenario's name.
NAMESPACE = "@name@_python"

#: What a task may be given: so small that no result is too large.
NUMBERS = range(-(2**15), 2**15)


def register(worker: Worker) -> None:
    """Registers the handlers, by the names that the template has for them."""
    worker.handler(NAMESPACE, "double")(double)
    worker.handler(NAMESPACE, "increase")(increase)
    worker.handler(NAMESPACE, "square")(square)


def double(step: Step) -> dict[str, int]:
    """Doubles the task's number."""
    return {"value": given(step) * 2}


def increase(step: Step) -> dict[str, int]:
    """Adds one to what the step `double` has made."""
    return {"value": value_of(step, "double") + 1}


def square(step: Step) -> dict[str, int]:
    """Squares what the step `increase` has made."""
    return {"value": value_of(step, "increase") ** 2}


def given(step: Step) -> int:
    """The task's number. Another attempt is given the same: this failure is permanent."""
    number = step.context.get("number")
    if type(number) is not int or number not in NUMBERS:
        raise Fail(f"number is {number!r}, not an integer from {NUMBERS[0]} to {NUMBERS[-1]}")
    return number


def value_of(step: Step, parent: str) -> int:
    """The result of a step that this one depends on."""
    if parent not in step.parent_results:
        raise Fail(f"no {parent}")
    value: int = step.parent_results[parent]["value"]
    return value
