/** The approval workflow: a decision among three branches by an amount of money, exactly. */

import { Branch, Fail, type Step, type Worker } from "stepmark";
import { Decimal } from "./decimal.ts";

const NAMESPACE = "conditional_approval_typescript";

/** From this amount on a manager approves. */
const MANAGER_FROM = Decimal.parse("1000");
/** Above this amount finance reviews. */
const FINANCE_ABOVE = Decimal.parse("5000");

/** Registers the handlers of the approval workflow. */
export function register(worker: Worker): void {
  worker
    .handler(NAMESPACE, "validate_request", validateRequest)
    .handler(NAMESPACE, "routing_decision", routingDecision)
    .handler(NAMESPACE, "auto_approve", (step) => approve(step, "system"))
    .handler(NAMESPACE, "manager_approval", (step) => approve(step, "manager"))
    .handler(NAMESPACE, "finance_review", (step) => approve(step, "finance"))
    .handler(NAMESPACE, "finalize_approval", finalizeApproval);
}

/** The amount is a number or a text of one, as it was written: a float would not be exact. */
async function validateRequest(step: Step) {
  const amount = parse(step.exact.context.amount);
  if (amount.compare(Decimal.ZERO) <= 0) {
    throw new Fail(`amount is ${amount}: it must be above 0`);
  }
  return { amount: amount.toString() };
}

async function routingDecision(step: Step) {
  const { amount } = onlyParent(step);
  const branch = route(parse(amount));
  return new Branch({ amount, branch }, [branch]);
}

/** Below 1,000, up to 5,000, and above. */
export function route(amount: Decimal): string {
  if (amount.compare(MANAGER_FROM) < 0) return "auto_approve";
  return amount.compare(FINANCE_ABOVE) <= 0 ? "manager_approval" : "finance_review";
}

async function approve(step: Step, approved_by: string) {
  return { amount: onlyParent(step).amount, approved_by };
}

async function finalizeApproval(step: Step) {
  const { amount, approved_by } = onlyParent(step);
  return { amount, approved: true, approved_by };
}

/** The result of the one parent that has run: of the three branches, the chosen one. */
function onlyParent(step: Step) {
  const results = Object.values(step.parentResults);
  if (results.length !== 1) throw new Fail(`${results.length} parents have a result, not one`);
  return results[0];
}

/** @throws {Fail} it is no amount */
export function parse(amount: unknown): Decimal {
  try {
    return Decimal.parse(amount as string);
  } catch (error) {
    throw new Fail(`amount is ${JSON.stringify(amount)}: ${(error as Error).message}`);
  }
}
