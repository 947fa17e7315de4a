/* Throughput against latency, rung by rung. */

/** A line at the knee, with its name. */
const kneeLine = (knee) => ({
  id: "knee",
  afterDatasetsDraw: ({ ctx: pen, chartArea: area, scales: { x } }) => {
    if (knee == null) return;
    const at = x.getPixelForValue(knee);
    pen.save();
    pen.strokeStyle = pen.fillStyle = colour("text");
    pen.setLineDash([5, 4]);
    pen.beginPath();
    pen.moveTo(at, area.top);
    pen.lineTo(at, area.bottom);
    pen.stroke();
    const isRight = at > (area.left + area.right) / 2;
    pen.textAlign = isRight ? "right" : "left";
    pen.font = `12px ${Chart.defaults.font.family}`;
    pen.fillText(`knee: ${knee.toFixed(0)}/s`, at + (isRight ? -6 : 6), area.top + 12);
    pen.restore();
  },
});

const drawLadder = (plot, ladder) => {
  const { rungs, knee_per_s: knee } = ladder;
  const line = (label, key, name, extra) => ({
    label, borderColor: colour(name), backgroundColor: colour(name), borderWidth: 2,
    data: rungs.filter((rung) => rung[key] != null)
      .map((rung) => ({ x: rung.asked_per_s, y: rung[key], rung })),
    pointRadius: 5,
    pointStyle: rungs.map((rung) => (rung.is_short ? "crossRot" : extra.point)),
    borderDash: extra.dash,
  });
  const last = rungs[rungs.length - 1];
  const found = knee == null ? "no knee was found" : `the knee is at ${knee.toFixed(0)} a second`;
  const words = `Latency of ${ladder.scenario} on ${ladder.broker} at ${rungs.length} rates up to `
    + `${last ? last.asked_per_s.toFixed(0) : 0} a second: ${found}. The table has all figures.`;
  return chart(plot, words, {
    type: "line",
    data: {
      datasets: [
        line("P95", "p95_ms", "other", { point: "rectRot", dash: [6, 4] }),
        line("P50", "p50_ms", "accent", { point: "circle" }),
      ],
    },
    plugins: [kneeLine(knee)],
    options: {
      parsing: false,
      scales: {
        x: { type: "linear", beginAtZero: true, title: title("asked for a second") },
        y: { type: "logarithmic", title: title("ms") },
      },
      plugins: {
        legend: { labels: { usePointStyle: true, boxHeight: 8 } },
        tooltip: {
          callbacks: {
            title: ([item]) => `${item.parsed.x.toFixed(0)} a second asked for`,
            label: ({ dataset, raw: { y, rung } }) => {
              const achieved = rung.achieved_per_s?.toFixed(0) ?? "?";
              return `${dataset.label} ${ms(y)}, ${achieved} achieved${rung.is_short ? ", SHORT" : ""}`;
            },
          },
        },
      },
    },
  });
};
