/** The handlers give the answers of the scenarios, and the right ones at the edges. */

import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type EndedTask, runTask } from "stepmark/testing";
import { all, assertRight, TEMPLATES } from "./answers.ts";

/** The benchmark's scenarios with the namespaces of their workflows in TypeScript. */
const SCENARIOS = {
  "tier1/linear_rust": "typescript_e2e_linear",
  "tier1/diamond_rust": "typescript_e2e_diamond",
  "tier2/complex_dag_rust": "typescript_e2e_mixed_dag",
  "tier2/hierarchical_tree_rust": "typescript_e2e_tree",
  "tier2/conditional_rust": "conditional_approval_typescript",
  "tier5/batch_csv_1000": "csv_processing_typescript",
};

const run = (template: string, context: object): Promise<EndedTask> =>
  runTask(all, join(TEMPLATES, `${template}_typescript.yaml`), context);

describe("the answers of the scenario", () => {
  for (const [scenario, namespace] of Object.entries(SCENARIOS)) {
    test(scenario, () => assertRight(scenario, { namespace }));
  }
});

describe("numbers", () => {
  test("are exact of any size", async () => {
    const { steps } = await run("hierarchical_tree", { even_number: 6 });
    expect(steps.tree_final_convergence!.result).toEqual({ value: (6n ** 64n).toString() });
    const largest = await run("mathematical_sequence", { even_number: 2 ** 53 - 2 });
    const value = (2n ** 53n - 2n) ** 16n;
    expect(largest.steps.linear_step_4!.result).toEqual({ value: value.toString() });
  });

  test("that are odd, or none, are refused at once", async () => {
    for (const even_number of [7, -2, 1.5, 1e20, "6", null, true]) {
      const { state, steps } = await run("mathematical_sequence", { even_number });
      expect(state).toBe("Error");
      expect(steps.linear_step_1).toMatchObject({ state: "Error", attempts: 1 });
      expect(steps.linear_step_1!.error!.message).toStartWith("even_number is ");
    }
  });
});

describe("approval", () => {
  const branchOf = async (amount: unknown) => {
    const { state, steps } = await run("conditional_approval", { amount });
    return state === "Complete" ? steps.routing_decision!.result.branch : null;
  };

  test("both boundaries belong to the manager", async () => {
    expect(await branchOf("0.01")).toBe("auto_approve");
    expect(await branchOf("999.9999999999999999999999")).toBe("auto_approve");
    expect(await branchOf("1e3")).toBe("manager_approval");
    expect(await branchOf("1000.00")).toBe("manager_approval");
    expect(await branchOf(5000)).toBe("manager_approval");
    expect(await branchOf("5000.0000000000000000000001")).toBe("finance_review");
    expect(await branchOf(1e6)).toBe("finance_review");
  });

  test("an amount is handed on as it was written", async () => {
    const { steps } = await run("conditional_approval", { amount: "1234.50" });
    const right = { amount: "1234.50", approved: true, approved_by: "manager" };
    expect(JSON.stringify(steps.finalize_approval!.result)).toBe(JSON.stringify(right));
    expect(steps.finance_review!.state).toBe("Skipped");
  });

  test("what is no amount is refused", async () => {
    for (const amount of [
      "",
      "ten",
      "1e400",
      "0x10",
      "1,000",
      null,
      "9".repeat(40),
      0,
      -5,
      [],
      {},
    ]) {
      expect(await branchOf(amount)).toBeNull();
    }
  });
});

describe("products", () => {
  const FILE =
    'id,title,category,price,rating,stock\r\n1,"a, ""b""\r\nc",tools,10.05,4.50,3\r\n' +
    '2,plain,__proto__,7.1,3.00,0\n\n3,"two\nlines",tools,10.05,4.99,2\n4,"last",books,0.01,1,1';

  const inventory = async (text: string, batch_size: unknown): Promise<EndedTask> => {
    const folder = mkdtempSync(join(tmpdir(), "stepmark-products-"));
    const csv_path = join(folder, "products.csv");
    await Bun.write(csv_path, text);
    const task = await run("batch_processing_products_csv", { csv_path, batch_size });
    rmSync(folder, { recursive: true });
    return task;
  };

  test("batches of any size have the same inventory from their own bytes alone", async () => {
    for (const size of [1, 2, 3, 4, 5]) {
      const { state, steps } = await inventory(FILE, size);
      expect(state).toBe("Complete");
      const { rows, batches } = steps.analyze_csv!.result;
      expect([rows, batches]).toEqual([4, Math.ceil(4 / size)]);
      // 3.3725 exactly; the dearest is the first of two.
      const right =
        '{"dearest":{"id":1,"price":"10.05","title":"a, \\"b\\"\\r\\nc"},' +
        '"inventory_value":"50.26","products_by_category":{"__proto__":1,"books":1,"tools":2},' +
        '"rating_mean":"3.3725",' +
        '"rating_sum":"13.49","rows":4}';
      expect(JSON.stringify(steps.aggregate_csv_results!.result)).toBe(right);
    }
  });

  test("no rows have no mean", async () => {
    const { steps } = await inventory("id,title,category,price,rating,stock\n", 10);
    const { result } = steps.aggregate_csv_results!;
    expect(result).toMatchObject({ rating_mean: null, dearest: null, inventory_value: "0.00" });
  });

  test("what is wrong in the file or the input is said, and not tried again", async () => {
    const row = "id,title,category,price,rating,stock\n1,a,b,";
    const wrong: [string, unknown, RegExp][] = [
      [`${row}1.00,2.0\n`, 1, /record 2 has 5 fields, not 6/],
      [`${row}1.0.0,2.0,3\n`, 1, /row 1: not a decimal number/],
      [`${row}1.00,2.0,-3\n`, 1, /stock is "-3"/],
      ["id,title\n1,a\n", 1, /no column category/],
      [FILE, 0, /batch_size is 0/],
    ];
    for (const [text, size, message] of wrong) {
      const { state, steps } = await inventory(text, size);
      expect(state).toBe("Error");
      const failed = Object.values(steps).find((step) => step.state === "Error")!;
      expect(failed.attempts).toBe(1);
      expect(failed.error!.message).toMatch(message);
    }
  });

  test("a file that is not there may come", async () => {
    const context = { csv_path: "/nowhere/products.csv", batch_size: 1 };
    const { steps } = await run("batch_processing_products_csv", context);
    expect(steps.analyze_csv!.attempts).toBeGreaterThan(1);
  });
});
