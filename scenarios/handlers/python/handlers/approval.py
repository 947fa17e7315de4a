"""The approval workflow: a decision among three branches by an amount of money, exactly."""

from decimal import Decimal
from typing import Any

from stepmark import Branch, Fail, Step, Worker

from .given import decimal, field

NAMESPACE = "conditional_approval_python"

#: From this amount on a manager approves.
MANAGER_FROM = 1_000
#: Above this amount finance reviews.
FINANCE_ABOVE = 5_000


def register(worker: Worker) -> None:
    """Registers the handlers of the approval workflow."""
    worker.handler(NAMESPACE, "validate_request")(validate_request)
    worker.handler(NAMESPACE, "routing_decision")(routing_decision)
    worker.handler(NAMESPACE, "auto_approve")(lambda step: approve(step, "system"))
    worker.handler(NAMESPACE, "manager_approval")(lambda step: approve(step, "manager"))
    worker.handler(NAMESPACE, "finance_review")(lambda step: approve(step, "finance"))
    worker.handler(NAMESPACE, "finalize_approval")(finalize_approval)


def validate_request(step: Step) -> dict[str, Any]:
    """The amount as a text, if it is one of money."""
    if "amount" not in step.context:
        raise Fail("missing field `amount`")
    amount = parse(str(step.context["amount"]))  # a number or a text of one, as it was written
    if amount <= 0:
        raise Fail(f"amount is {amount:f}: it must be above 0")
    return {"amount": f"{amount:f}"}


def routing_decision(step: Step) -> Branch:
    """Chooses who approves."""
    amount = field(only_parent(step), "amount", str)
    branch = route(parse(amount))
    return Branch({"amount": amount, "branch": branch}, [branch])


def route(amount: Decimal) -> str:
    """Below 1,000, up to 5,000, and above."""
    if amount < MANAGER_FROM:
        return "auto_approve"
    return "manager_approval" if amount <= FINANCE_ABOVE else "finance_review"


def approve(step: Step, by: str) -> dict[str, Any]:
    """One of the branches."""
    return {"amount": field(only_parent(step), "amount", str), "approved_by": by}


def finalize_approval(step: Step) -> dict[str, Any]:
    """What the chosen branch has said."""
    approval = only_parent(step)
    approved_by = field(approval, "approved_by", str)
    amount = field(approval, "amount", str)
    return {"amount": amount, "approved": True, "approved_by": approved_by}


def only_parent(step: Step) -> Any:
    """The result of the one parent that has run: of the three branches, the chosen one."""
    results = list(step.parent_results.values())
    if len(results) != 1:
        raise Fail(f"{len(results)} parents have a result, not one")
    return results[0]


def parse(amount: str) -> Decimal:
    """An amount of money."""
    try:
        return decimal(amount, exponents=True)
    except ValueError as error:
        raise Fail(f'amount is "{amount}": {error}') from None
