/* The way of one task: a row a step, a bar a segment. */

/** Each segment's colour in the style sheet, and its hatching: colour alone tells nothing. */
const SEGMENTS = [
  ["create", "create", "solid"],
  ["enqueue → claim", "claim", "rising"],
  ["handler", "handler", "solid"],
  ["result → processed", "process", "falling"],
  ["wait for retry", "retry", "dots"],
  ["next enqueue", "next", "upright"],
  ["notify", "notify", "level"],
];
const lookOf = (segment) =>
  SEGMENTS.find(([name]) => name === segment) ?? [segment, "notify", "dots"];

const STROKES = {
  rising: [[0, 8, 8, 0]],
  falling: [[0, 0, 8, 8]],
  upright: [[4, 0, 4, 8]],
  level: [[0, 4, 8, 4]],
};

/** A segment's fill: its colour under its hatching. */
const fill = (segment, opacity = 1) => {
  const [, name, hatching] = lookOf(segment);
  const tile = document.createElement("canvas");
  tile.width = tile.height = 8;
  const pen = tile.getContext("2d");
  pen.fillStyle = faint(name, opacity);
  pen.fillRect(0, 0, 8, 8);
  pen.strokeStyle = pen.fillStyle = faint("surface", 0.75);
  pen.lineWidth = 1.5;
  for (const [x1, y1, x2, y2] of STROKES[hatching] ?? []) {
    pen.beginPath();
    pen.moveTo(x1, y1);
    pen.lineTo(x2, y2);
    pen.stroke();
  }
  if (hatching === "dots") pen.fillRect(3, 3, 3, 3);
  return pen.createPattern(tile, "repeat");
};

/** The segments' looks with their names. */
const legend = (segments, look = fill) => {
  const list = document.createElement("ul");
  list.className = "legend";
  for (const segment of segments) {
    const item = list.appendChild(document.createElement("li"));
    const sample = item.appendChild(document.createElement("canvas"));
    [sample.width, sample.height] = [24, 13];
    const pen = sample.getContext("2d");
    pen.fillStyle = look(segment);
    pen.fillRect(0, 0, 24, 13);
    sample.setAttribute("aria-hidden", "true");
    item.append(segment);
  }
  return list;
};

const WHOLE = "task";
const ROW_HEIGHT = 26;

const drawWaterfall = (plot, run, number) => {
  const { of, latency_ms: latency, bars } = run.breakdown.waterfalls[number];
  const rowOf = (bar) => bar.step ?? WHOLE;
  const inOrder = [...bars].sort((a, b) => a.from_ms - b.from_ms);
  const rows = [...new Set(inOrder.map(rowOf))];
  const segments = SEGMENTS.map(([name]) => name);
  const present = [...new Set(bars.map((bar) => bar.segment))];
  present.sort((a, b) => segments.indexOf(a) - segments.indexOf(b));
  const datasets = present.map((segment) => {
    const its = bars.filter((bar) => bar.segment === segment);
    const look = (bar) => (bar.on_path ? 1 : 0.45);
    return {
      label: segment, grouped: false, barThickness: ROW_HEIGHT - 10, bars: its, minBarLength: 2,
      data: its.map((bar) => ({ x: [bar.from_ms, bar.to_ms], y: rowOf(bar) })),
      backgroundColor: its.map((bar) => fill(segment, look(bar))),
      borderColor: colour("text"), borderSkipped: false,
      borderWidth: its.map((bar) => (bar.on_path ? 1 : 0)),
    };
  });
  const box = document.createElement("div");
  box.style.height = `${rows.length * ROW_HEIGHT + 56}px`;
  box.style.position = "relative";
  const slowest = bars.reduce((a, b) => (b.to_ms - b.from_ms > a.to_ms - a.from_ms ? b : a));
  const words = `The task at ${of} took ${ms(latency)} in ${rows.length} rows; its longest segment `
    + `is ${slowest.segment} of ${rowOf(slowest)}, ${ms(slowest.to_ms - slowest.from_ms)}. `
    + "The table below has all of them.";
  plot.replaceChildren(legend(present), box);
  return chart(box, words, {
    type: "bar",
    data: { labels: rows, datasets },
    options: {
      indexAxis: "y",
      scales: {
        x: { min: 0, title: title("ms") },
        y: { ticks: { autoSkip: false, color: colour("text"), callback: shortened(rows, plot) } },
      },
      plugins: {
        legend: { display: false },
        tooltip: {
          callbacks: {
            title: ([item]) => rows[item.dataIndex] && rowOf(item.dataset.bars[item.dataIndex]),
            label: (item) => {
              const bar = item.dataset.bars[item.dataIndex];
              const path = bar.on_path ? ", on the critical path" : "";
              return `${bar.segment}: ${ms(bar.to_ms - bar.from_ms)}, from ${ms(bar.from_ms)}${path}`;
            },
          },
        },
      },
    },
  });
};

/** Names of rows, cut where the page is narrow. */
const shortened = (rows, plot) => (value, at) => {
  const most = plot.clientWidth < 500 ? 14 : 40;
  const name = rows[at] ?? "";
  return name.length > most ? `${name.slice(0, most - 1)}…` : name;
};
