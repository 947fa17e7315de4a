/* Which run is shown, and when its charts are drawn. */

const DRAW = {
  percentiles: drawPercentiles,
  timeline: drawTimeline,
  graph: drawGraph,
  waterfall: drawWaterfall,
  ladder: drawLadder,
};

/** The part of the report at a JSON pointer. */
const at = (pointer) =>
  pointer.slice(1).split("/").reduce((value, key) => value[key], report);

const drawn = new Map();

const draw = (figure) => {
  if (drawn.has(figure)) return;
  const [kind, number] = figure.dataset.chart.split("-");
  const plot = figure.querySelector(".plot");
  drawn.set(figure, DRAW[kind](plot, at(figure.dataset.of), Number(number ?? 0)));
  figure.dataset.state = "drawn";
};

const erase = (figure) => {
  drawn.get(figure)?.destroy();
  drawn.delete(figure);
  delete figure.dataset.state;
};

const figures = [...document.querySelectorAll("figure[data-chart]")];
const inSight = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) if (isIntersecting) draw(target);
}, { rootMargin: "300px" });

/** Draws anew what is drawn, in the colours of now. */
const redraw = () => {
  for (const figure of [...drawn.keys()]) {
    erase(figure);
    draw(figure);
  }
};

const articles = [...document.querySelectorAll("article.run")];
const field = { scenario: null, broker: null, load: null };
for (const name of Object.keys(field)) field[name] = document.getElementById(name);

const fillIn = (select, values, value) => {
  const all = [...new Set(values)];
  select.replaceChildren(...all.map((text) => new Option(text, text, false, text === value)));
};

/** Shows a run and no other. */
const choose = (article) => {
  for (const other of articles) other.hidden = other !== article;
  for (const figure of figures) {
    if (figure.closest("article.run[hidden]")) erase(figure);
  }
  const { scenario, broker, load } = article.dataset;
  const its = articles.filter((it) => it.dataset.scenario === scenario);
  fillIn(field.scenario, articles.map((it) => it.dataset.scenario), scenario);
  fillIn(field.broker, its.map((it) => it.dataset.broker), broker);
  const loads = its.filter((it) => it.dataset.broker === broker);
  fillIn(field.load, loads.map((it) => it.dataset.load), load);
};

/** The run that fits the choice best, what was chosen last weighing most. */
const fitting = (changed) => {
  const weight = (it) => Object.entries(field).reduce((sum, [name, select]) =>
    sum + (it.dataset[name] === select.value ? (name === changed ? 8 : 2) : 0), 0);
  const scenarioFits = (it) => it.dataset.scenario === field.scenario.value;
  const fits = articles.filter(scenarioFits);
  return fits.reduce((best, it) => (weight(it) > weight(best) ? it : best), fits[0]);
};

/** Goes to what the address names: a run, or a table that is folded. */
const follow = () => {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target?.matches("article.run")) {
    choose(target);
    target.querySelector("h3").focus({ preventScroll: true });
    target.scrollIntoView();
  }
  if (target?.matches("details")) target.open = true;
};

startTheme(redraw);
if (articles.length) {
  document.getElementById("choice").hidden = false;
  choose(articles[0]);
  for (const [name, select] of Object.entries(field)) {
    select.addEventListener("change", () => {
      const article = fitting(name);
      choose(article);
      try { history.replaceState(null, "", `#${article.id}`); } catch { /* not from a disk */ }
    });
  }
}
for (const figure of figures) inSight.observe(figure);
addEventListener("hashchange", follow);
addEventListener("beforeprint", () => {
  for (const figure of figures) if (!figure.closest("[hidden]")) draw(figure);
});
follow();
