"""The handlers of the workflow `@name@`."""

from stepmark import Branch, Fail, Step, Worker

#: The template's namespace, and the scenario's name.
NAMESPACE = "@name@_python"

#: What a task may be given: so small that no result is too large.
NUMBERS = range(-(2**15), 2**15)
#: Numbers from here on are doubled and not squared.
LARGE = 100


def register(worker: Worker) -> None:
    """Registers the handlers, by the names that the template has for them."""
    worker.handler(NAMESPACE, "choose")(choose)
    worker.handler(NAMESPACE, "double")(double)
    worker.handler(NAMESPACE, "square")(square)
    worker.handler(NAMESPACE, "finish")(finish)


def choose(step: Step) -> Branch:
    """Chooses a branch; the other one is skipped."""
    number = step.context.get("number")
    # Another attempt is given the same: this failure is permanent.
    if type(number) is not int or number not in NUMBERS:
        raise Fail(f"number is {number!r}, not an integer from {NUMBERS[0]} to {NUMBERS[-1]}")
    return Branch({"value": number}, ["square" if number < LARGE else "double"])


def double(step: Step) -> dict[str, int]:
    """Doubles the number."""
    return {"value": chosen(step) * 2}


def square(step: Step) -> dict[str, int]:
    """Squares the number."""
    return {"value": chosen(step) ** 2}


def finish(step: Step) -> dict[str, int]:
    """Tells which branch has run and what it has made: a branch that was skipped gives no
    result."""
    return {name: result["value"] for name, result in step.parent_results.items()}


def chosen(step: Step) -> int:
    """The number that the decision was made for."""
    if "choose" not in step.parent_results:
        raise Fail("no decision")
    value: int = step.parent_results["choose"]["value"]
    return value
