/* The distribution of a run's samples: by size, and by time. */

/** Runs of the same scenario under the same load on another broker. */
const siblings = (run) => report.runs.filter((other) => other !== run
  && other.scenario === run.scenario && other.on === run.on && other.mode === run.mode
  && other.concurrency === run.concurrency && other.distribution
  && other.rate?.asked_per_s === run.rate?.asked_per_s);

/** A quantile's place. */
const place = (quantile) => 1 / (1 - quantile);

/** The percentiles that are told are among the points, so that the line meets them; the longest of
    n samples stands beyond the quantile that n - 1 of them reach. */
const percentilesOf = (run) => {
  const { p50, p95, p99, max } = run.latency_ms;
  const told = [[0.5, p50], [0.95, p95], [0.99, p99]].filter(([, y]) => y != null);
  const reached = 1 - 1 / run.samples;
  const points = [...run.distribution.percentiles, ...told].filter(([q]) => q <= reached);
  points.sort(([one], [other]) => one - other);
  if (points.length) points.push([reached, points[points.length - 1][1]]);
  points.push([1 - 0.5 / run.samples, max]);
  return points.map(([q, y]) => ({ x: place(q), y }));
};

/** Both ends of each interval, with a gap behind them. */
const intervalsOf = (run) => [["p50", 0.5], ["p95", 0.95], ["p99", 0.99]].flatMap(([name, q]) => {
  const bounds = run.distribution.interval_ms?.[name];
  const x = place(q);
  return bounds ? [{ x, y: bounds.low }, { x, y: bounds.high }, { x, y: NaN }] : [];
});

const percentTicks = [1, 2, 4, 10, 20, 100, 1e3, 1e4, 1e5, 1e6];
const percentName = (x) => `${Number((100 * (1 - 1 / x)).toFixed(4))} %`;

/** A line's name beside a piece of it, dashed like it. */
const lineLabels = {
  usePointStyle: true,
  pointStyle: "line",
  pointStyleWidth: 34,
  generateLabels: (drawn) => Chart.defaults.plugins.legend.labels.generateLabels(drawn)
    .map((label) => ({
      ...label, lineWidth: 2, lineDash: drawn.data.datasets[label.datasetIndex].borderDash ?? [],
    })),
};

const drawPercentiles = (plot, run) => {
  const line = (of, name, extra) => ({
    label: of.broker, data: percentilesOf(of), borderColor: colour(name),
    backgroundColor: colour(name), borderWidth: 2, pointRadius: 0, pointHitRadius: 8, ...extra,
  });
  const others = siblings(run);
  const datasets = [
    line(run, "accent"),
    ...others.map((other) => line(other, "other", { borderDash: [6, 4], borderWidth: 1.5 })),
    {
      label: "interval of 95 %", data: intervalsOf(run), borderColor: colour("text"),
      backgroundColor: colour("text"), borderWidth: 2, pointRadius: 3, pointStyle: "line",
      spanGaps: false,
    },
  ].filter((dataset) => dataset.data.length);
  const right = Math.max(100, ...datasets.flatMap((it) => it.data.map((point) => point.x)));
  const { p50, p95, p99, max } = run.latency_ms;
  const told = [["P50", p50], ["P95", p95], ["P99", p99], ["longest", max]]
    .filter(([, value]) => value != null).map(([name, value]) => `${name} ${ms(value)}`);
  return chart(plot, `Latency by percentile on ${run.broker}: ${told.join(", ")}.`, {
    type: "line",
    data: { datasets },
    options: {
      parsing: false,
      scales: {
        x: {
          type: "logarithmic", min: 1, max: right, title: title("percentile"),
          afterBuildTicks: (axis) => {
            axis.ticks = percentTicks.filter((value) => value <= right).map((value) => ({ value }));
          },
          ticks: { callback: percentName, maxRotation: 0, autoSkip: true, autoSkipPadding: 6 },
        },
        y: { beginAtZero: true, title: title("ms") },
      },
      plugins: {
        legend: { labels: lineLabels },
        tooltip: {
          callbacks: {
            title: ([item]) => percentName(item.parsed.x),
            label: (item) => `${item.dataset.label}: ${ms(item.parsed.y)}`,
          },
        },
      },
    },
  });
};

/** The median of each sample and its neighbours. */
const runningMedian = (points, reach = 15) => points.map(([x], at) => {
  const near = points.slice(Math.max(0, at - reach), at + reach + 1).map(([, y]) => y);
  near.sort((a, b) => a - b);
  return { x, y: near[Math.floor(near.length / 2)] };
});

const drawTimeline = (plot, run) => {
  const points = run.distribution.timeline;
  const [last] = points[points.length - 1];
  const longest = Math.max(...points.map(([, y]) => y));
  const words = `Latency of ${points.length} samples over ${last.toFixed(1)} seconds, `
    + `the longest ${ms(longest)}.`;
  return chart(plot, words, {
    type: "scatter",
    data: {
      datasets: [
        {
          type: "line", label: "running median", data: runningMedian(points), order: 0,
          borderColor: colour("text"), backgroundColor: colour("text"), borderWidth: 1.5,
          pointRadius: 0, pointHitRadius: 0, pointStyle: "line",
        },
        {
          label: "samples", data: points.map(([x, y]) => ({ x, y })), order: 1,
          backgroundColor: faint("accent", 0.55), borderWidth: 0, pointRadius: 2,
          pointStyle: "circle",
        },
      ],
    },
    options: {
      parsing: false,
      scales: {
        x: { title: title("seconds"), min: 0 },
        y: { beginAtZero: true, title: title("ms") },
      },
      plugins: {
        legend: { labels: { usePointStyle: true, boxHeight: 8 } },
        tooltip: {
          callbacks: { label: (item) => `at ${item.parsed.x.toFixed(2)} s: ${ms(item.parsed.y)}` },
        },
      },
    },
  });
};
