/* Colours as the page has them now, and the switch between its two looks. */

const report = JSON.parse(document.getElementById("report").textContent);
const root = document.documentElement;
root.classList.add("script");

const probe = document.body.appendChild(document.createElement("span"));
probe.hidden = true;

/** The colour that the style sheet calls `name`, as a canvas takes it. */
const colour = (name) => {
  probe.style.color = `var(--${name})`;
  return getComputedStyle(probe).color;
};

/** The same colour, so far from opaque. */
const faint = (name, opacity) => colour(name).replace(/^rgb\((.*)\)$/, `rgba($1, ${opacity})`);

const prefersDark = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (root.dataset.theme ?? (prefersDark.matches ? "dark" : "light")) === "dark";

/** Gives Chart.js the page's look; nothing moves, whatever the reader prefers. */
const dressCharts = () => {
  Chart.defaults.animation = false;
  Chart.defaults.responsive = true;
  Chart.defaults.maintainAspectRatio = false;
  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  Chart.defaults.font.size = 12;
  Chart.defaults.color = colour("quiet");
  Chart.defaults.borderColor = colour("line");
  Chart.defaults.plugins.legend.labels.color = colour("text");
  Chart.defaults.plugins.legend.align = "start";
  Chart.defaults.plugins.tooltip.backgroundColor = colour("text");
  Chart.defaults.plugins.tooltip.titleColor = colour("surface");
  Chart.defaults.plugins.tooltip.bodyColor = colour("surface");
};

/** What is remembered between visits; a page from a disk may have no memory. */
const memory = {
  get: () => { try { return localStorage.getItem("stepmark-theme"); } catch { return null; } },
  set: (theme) => { try { localStorage.setItem("stepmark-theme", theme); } catch { /* none */ } },
};

/** Makes the switch work; `changed` is called after each change. */
const startTheme = (changed) => {
  const button = document.getElementById("theme");
  const show = () => {
    button.setAttribute("aria-pressed", String(isDark()));
    dressCharts();
  };
  const remembered = memory.get();
  if (remembered) root.dataset.theme = remembered;
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    memory.set(root.dataset.theme);
    show();
    changed();
  });
  prefersDark.addEventListener("change", () => { show(); changed(); });
  button.hidden = false;
  show();
};

/** Milliseconds as people read them. */
const ms = (value) => (value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1)
  : value.toFixed(2)) + " ms";

const title = (text) => ({ display: true, text });

/** A chart that tells those who don't see it what it shows. */
const chart = (plot, words, config) => {
  const canvas = document.createElement("canvas");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", words);
  plot.replaceChildren(canvas);
  return new Chart(canvas, config);
};
