"""The handlers of the workflow `@name@`."""

from stepmark import Fail, FanOut, Step, Worker

#: The template's namespace, and the scenario's name.
NAMESPACE = "@name@_python"

#: What a task may be given: so small that no result is too large.
NUMBERS = range(-(2**15), 2**15)
#: Most numbers in a batch.
BATCH_SIZE = 2


def register(worker: Worker) -> None:
    """Registers the handlers, by the names that the template has for them."""
    worker.handler(NAMESPACE, "divide")(divide)
    worker.handler(NAMESPACE, "work")(work)
    worker.handler(NAMESPACE, "total")(total)


def divide(step: Step) -> FanOut:
    """Divides the numbers into batches: each becomes a step `work_001`, `work_002` and so on."""
    numbers = step.context.get("numbers")
    # Another attempt is given the same: these failures are permanent.
    if not isinstance(numbers, list):
        raise Fail(f"numbers is {numbers!r}, not a list")
    for number in numbers:
        if type(number) is not int or number not in NUMBERS:
            raise Fail(f"{number!r} is not an integer from {NUMBERS[0]} to {NUMBERS[-1]}")
    begins = range(0, len(numbers), BATCH_SIZE)
    batches = [numbers[begin : begin + BATCH_SIZE] for begin in begins]
    return FanOut({"batches": len(batches)}, batches)


def work(step: Step) -> dict[str, int]:
    """Adds the numbers of one batch."""
    return {"sum": sum(step.input)}


def total(step: Step) -> dict[str, int]:
    """Adds what the batches have come to."""
    return {"sum": sum(result["sum"] for result in step.batch_results("work"))}
