/* The steps as a graph from top to bottom, each with its time. */

const SVG = "http://www.w3.org/2000/svg";
const BOX = { width: 160, height: 62, gapX: 14, gapY: 42, bar: 8, padding: 10 };
const SHRUNK = 0.8;

const shape = (parent, name, attributes, text) => {
  const element = parent.appendChild(document.createElementNS(SVG, name));
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
};

/** Each step's row: the longest way to it from a step that waits for none. */
const levelsOf = (steps) => {
  const byName = new Map(steps.map((step) => [step.step, step]));
  const levels = new Map();
  const level = (step) => {
    if (!levels.has(step.step)) {
      levels.set(step.step, 0); // so that a cycle would end
      const parents = step.parents.map((name) => byName.get(name)).filter(Boolean);
      levels.set(step.step, Math.max(0, ...parents.map((parent) => level(parent) + 1)));
    }
    return levels.get(step.step);
  };
  steps.forEach(level);
  return levels;
};

/** A place for each step: rows in the order of their parents, each row in the middle. */
const placesOf = (steps) => {
  const levels = levelsOf(steps);
  const rows = [];
  for (const step of steps) (rows[levels.get(step.step)] ??= []).push(step);
  const widest = Math.max(...rows.map((row) => row.length));
  const pitch = BOX.width + BOX.gapX;
  const places = new Map();
  rows.forEach((row, number) => {
    const middle = (step) => step.parents.reduce((sum, it) => sum + (places.get(it)?.x ?? 0), 0)
      / Math.max(step.parents.length, 1);
    row.sort((a, b) => middle(a) - middle(b));
    const left = ((widest - row.length) * pitch) / 2 + 2;
    row.forEach((step, at) => {
      places.set(step.step, { x: left + at * pitch, y: 2 + number * (BOX.height + BOX.gapY) });
    });
  });
  const size = {
    width: widest * pitch - BOX.gapX + 4,
    height: rows.length * (BOX.height + BOX.gapY) - BOX.gapY + 4,
  };
  return { places, size };
};

const PARTS = [
  ["claim_ms", "enqueue → claim"], ["handler_ms", "handler"], ["process_ms", "result → processed"],
];
const tookOf = (step) => PARTS.reduce((sum, [name]) => sum + (step[name] ?? 0), 0);
const isOnPath = (step) => step.on_path >= 0.5;

const drawStep = (svg, step, place, longest) => {
  const group = shape(svg, "g", {});
  const took = tookOf(step);
  const parts = PARTS.map(([name, words]) => `${words} ${ms(step[name] ?? 0)}`).join(", ");
  const path = `${Math.round(100 * step.on_path)} %`;
  shape(group, "title", {}, `${step.step}: ${ms(took)} (${parts}); on the critical path of ${path}`);
  const warmth = Math.round((22 * took) / longest);
  shape(group, "rect", {
    class: isOnPath(step) ? "step on-path" : "step", x: place.x, y: place.y, rx: 6,
    width: BOX.width, height: BOX.height,
    style: `fill: color-mix(in srgb, var(--accent) ${warmth}%, var(--surface))`,
  });
  const left = place.x + BOX.padding;
  const name = step.step.length > 22 ? `${step.step.slice(0, 21)}…` : step.step;
  shape(group, "text", { x: left, y: place.y + 19 }, name);
  shape(group, "text", { class: "quiet", x: left, y: place.y + 36 }, `${ms(took)} · path ${path}`);
  const track = BOX.width - 2 * BOX.padding;
  const y = place.y + BOX.height - BOX.padding - BOX.bar + 2;
  shape(group, "rect", { class: "track", x: left, y, width: track, height: BOX.bar });
  let x = left;
  for (const [part, words] of PARTS) {
    const width = (track * (step[part] ?? 0)) / longest;
    const fill = `fill: var(--${lookOf(words)[1]})`;
    shape(group, "rect", { x, y, width, height: BOX.bar, style: fill });
    x += width;
  }
};

const drawEdge = (svg, from, to, onPath) => {
  const [x1, y1] = [from.x + BOX.width / 2, from.y + BOX.height];
  const [x2, y2] = [to.x + BOX.width / 2, to.y];
  const bend = (y2 - y1) / 2;
  const way = `M${x1} ${y1}C${x1} ${y1 + bend} ${x2} ${y2 - bend} ${x2} ${y2}`;
  shape(svg, "path", onPath ? { d: way, class: "on-path" } : { d: way });
};

const drawGraph = (plot, run) => {
  const steps = run.breakdown.steps.map((step) => ({ ...step, parents: step.parents ?? [] }));
  const { places, size } = placesOf(steps);
  const longest = Math.max(...steps.map(tookOf), 1e-9);
  const slowest = steps.find((step) => tookOf(step) === longest) ?? steps[0];
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${size.width} ${size.height}`);
  // A little smaller where the page is narrow, and no smaller than can be read.
  svg.style.width = `max(min(100%, ${size.width}px), ${SHRUNK * size.width}px)`;
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `${steps.length} steps in ${1 + Math.max(...levelsOf(steps).values())} `
    + `stages; the slowest is ${slowest.step}, ${ms(tookOf(slowest))}. The table below has all.`);
  const byName = new Map(steps.map((step) => [step.step, step]));
  for (const step of steps) {
    for (const name of step.parents.filter((parent) => places.has(parent))) {
      const onPath = isOnPath(step) && isOnPath(byName.get(name));
      drawEdge(svg, places.get(name), places.get(step.step), onPath);
    }
  }
  for (const step of steps) drawStep(svg, step, places.get(step.step), longest);
  const box = document.createElement("div");
  box.className = "scroll";
  box.tabIndex = 0;
  box.setAttribute("role", "group");
  box.setAttribute("aria-label", "Graph of the steps");
  box.append(svg);
  plot.replaceChildren(legend(PARTS.map(([, words]) => words), (it) => colour(lookOf(it)[1])), box);
  return { destroy: () => plot.replaceChildren() };
};
