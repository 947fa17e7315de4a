/** Writing JSON so that nothing is changed in silence. */

/** Deepest nesting that the engine stores. */
const DEPTH_MAX = 64;

/** A value that JSON can't hold. */
export class NotJson extends Error {
  override name = "NotJson";
}

/**
 * The JSON text of a value. `JSON.stringify` would leave out what is undefined, make null of NaN
 * and `{}` of a Map: here these are errors.
 *
 * @param name what the value is called in the error
 * @throws {NotJson} that says what JSON can't hold, and where
 */
export function toJson(value: unknown, name: string): string {
  const path: (string | number)[] = [];
  const wrong = misfit(value, path, []);
  if (wrong === undefined) return JSON.stringify(value);
  throw new NotJson(`JSON can't hold ${place(name, path)}: it is ${wrong}`);
}

/** What is wrong with it, and then `path` says where. */
function misfit(value: unknown, path: (string | number)[], above: object[]): string | undefined {
  switch (typeof value) {
    case "string":
    case "boolean":
      return undefined;
    case "number":
      return Number.isFinite(value) ? undefined : String(value);
    case "bigint":
      return "a BigInt; give it as a text";
    case "object":
      return value === null ? undefined : objectMisfit(value, path, above);
    case "undefined":
      return "undefined; leave it out, or give null";
    default:
      return `a ${typeof value}`;
  }
}

function objectMisfit(
  value: object,
  path: (string | number)[],
  above: object[],
): string | undefined {
  if (above.includes(value)) return "what it is part of: a cycle";
  if (above.length === DEPTH_MAX) return `nested deeper than ${DEPTH_MAX} levels`;
  above.push(value);
  const entries = Array.isArray(value) ? value.entries() : plainEntries(value);
  if (entries === undefined) return `a ${value.constructor?.name ?? "class"}, no plain object`;
  for (const [key, inner] of entries) {
    path.push(key);
    const wrong = misfit(inner, path, above);
    if (wrong !== undefined) return wrong;
    path.pop();
  }
  above.pop();
  return undefined;
}

function plainEntries(value: object): [string, unknown][] | undefined {
  const prototype = Object.getPrototypeOf(value);
  const plain = prototype === null || Object.getPrototypeOf(prototype) === null;
  return plain ? Object.entries(value) : undefined;
}

function place(name: string, path: (string | number)[]): string {
  const step = (key: string | number) =>
    typeof key === "string" && /^\w+$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
  return name + path.map(step).join("");
}
