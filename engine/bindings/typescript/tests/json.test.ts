/** JSON is written as it is, or not at all. */

import { expect, test } from "bun:test";
import { NotJson, toJson } from "../src/json.ts";

test("what JSON holds is written as JSON.stringify does", () => {
  const shared = { a: 1 };
  const bare = Object.assign(Object.create(null), { "": [] });
  for (const value of [
    null,
    true,
    0,
    -1.5e300,
    2 ** 53,
    "ä€😀\u0000",
    [],
    {},
    [shared, shared],
    { deep: [{ er: [null, "x"] }], __proto__: null },
    bare,
  ]) {
    expect(toJson(value, "result")).toBe(JSON.stringify(value));
  }
});

test("what it can't hold is named with its place", () => {
  class User {
    name = "Ada";
  }
  const cycle: Record<string, unknown> = {};
  cycle.self = [cycle];
  const cases: [unknown, string][] = [
    [undefined, "result: it is undefined; leave it out, or give null"],
    [{ a: [1, { b: undefined }] }, "result.a[1].b: it is undefined; leave it out, or give null"],
    [[NaN], "result[0]: it is NaN"],
    [{ n: -Infinity }, "result.n: it is -Infinity"],
    [{ n: 1n }, "result.n: it is a BigInt; give it as a text"],
    [{ "a b": () => 1 }, 'result["a b"]: it is a function'],
    [[Symbol("s")], "result[0]: it is a symbol"],
    [[new Date(0)], "result[0]: it is a Date, no plain object"],
    [{ users: new Set([1]) }, "result.users: it is a Set, no plain object"],
    [new Map(), "result: it is a Map, no plain object"],
    [{ u: new User() }, "result.u: it is a User, no plain object"],
    [new Uint8Array(1), "result: it is a Uint8Array, no plain object"],
    [{ n: new Number(1) }, "result.n: it is a Number, no plain object"],
    [cycle, "result.self[0]: it is what it is part of: a cycle"],
    [[1, , 3], "result[1]: it is undefined; leave it out, or give null"],
  ];
  for (const [value, right] of cases) {
    expect(() => toJson(value, "result")).toThrow(new NotJson(`JSON can't hold ${right}`));
  }
});

test("nesting ends where the engine's does", () => {
  const nested = (levels: number): unknown => (levels === 0 ? 1 : [nested(levels - 1)]);
  expect(toJson(nested(64), "result")).toHaveLength(2 * 64 + 1);
  expect(() => toJson(nested(65), "result")).toThrow("nested deeper than 64 levels");
  expect(() => toJson(nested(5_000), "result")).toThrow("nested deeper than 64 levels");
});
