"""What report.html shows, in a real browser."""

import json

import pytest
from conftest import DESKTOP, PHONE

def options(page, name):
    return page.eval_on_selector_all(f"#{name} option", "all => all.map((it) => it.value)")


def shown(page):
    """The run that is shown."""
    runs = page.eval_on_selector_all(
        "article.run:not([hidden])", "all => all.map((it) => Number(it.dataset.run))"
    )
    assert len(runs) == 1, runs
    return runs[0]


def draw_all(page):
    """Scrolls to every chart that is shown, and sees it drawn."""
    selector = "article.run:not([hidden]) figure.chart, #ladders figure.chart"
    figures = page.query_selector_all(selector)
    for figure in figures:
        figure.scroll_into_view_if_needed()
        page.wait_for_function("it => it.dataset.state === 'drawn'", arg=figure, timeout=10_000)
    return [figure.get_attribute("data-chart") for figure in figures]


# What each chart that is drawn has of data, and how many of its points can be seen.
PLOTTED = """all => Object.fromEntries(all.map((figure) => {
  const picture = figure.querySelector('[role=img]');
  if (picture instanceof SVGElement) {
    const titles = [...picture.querySelectorAll('title')].map((it) => it.textContent);
    return [figure.dataset.chart, titles];
  }
  const chart = Chart.getChart(picture);
  const { left, right, top, bottom } = chart.chartArea;
  const isSeen = ({ skip, x, y }) => !skip && x >= left - 1 && x <= right + 1
    && y >= top - 1 && y <= bottom + 1;
  return [figure.dataset.chart, chart.data.datasets.map(({ label, data }, at) => {
    const points = data.map(({ x, y }) => [x, y]).filter(([, y]) => !Number.isNaN(y));
    return { label, points, seen: chart.getDatasetMeta(at).data.filter(isSeen).length };
  })];
}))"""


def check_percentiles(points, run):
    """Sees the quantile function, which meets every percentile that is told."""
    reached = 1 - 1 / run["samples"]
    expected = [(q, y) for q, y in run["distribution"]["percentiles"] if q <= reached]
    for quantile, name in (0.5, "p50"), (0.95, "p95"), (0.99, "p99"):
        if run["latency_ms"][name] is not None:
            expected.append((quantile, run["latency_ms"][name]))
    expected.sort(key=lambda point: point[0])
    expected.append((reached, expected[-1][1]))
    expected.append((1 - 0.5 / run["samples"], run["latency_ms"]["max"]))
    assert [y for _, y in points] == [y for _, y in expected]
    assert [x for x, _ in points] == pytest.approx([1 / (1 - q) for q, _ in expected])


def check_charts(page, run):
    """Sees every sample, segment and step of a run in its charts."""
    drawn = page.eval_on_selector_all("article.run:not([hidden]) figure.chart", PLOTTED)
    distribution, breakdown = run["distribution"], run["breakdown"]
    if not distribution:
        assert drawn == {}
        return
    assert set(drawn) == {"percentiles", "timeline", "graph", "waterfall-0", "waterfall-1"}
    own = drawn["percentiles"][0]
    assert own["label"] == run["broker"]
    check_percentiles(own["points"], run)
    samples = next(it for it in drawn["timeline"] if it["label"] == "samples")
    assert samples["points"] == distribution["timeline"]
    for no, waterfall in enumerate(breakdown["waterfalls"]):
        bars = [
            (it["label"], tuple(x), y) for it in drawn[f"waterfall-{no}"] for x, y in it["points"]
        ]
        expected = [
            (bar["segment"], (bar["from_ms"], bar["to_ms"]), bar["step"] or "task")
            for bar in waterfall["bars"]
        ]
        assert sorted(bars) == sorted(expected)
    titles = drawn["graph"]
    assert [it.split(":")[0] for it in titles] == [it["step"] for it in breakdown["steps"]]
    for name, datasets in drawn.items():
        if name != "graph":
            for it in datasets:
                assert it["seen"] == len(it["points"]) > 0, (name, it["label"], it["seen"])


@pytest.mark.parametrize("kind", ["whole", "small", "old", "empty"])
def test_a_report_of_any_kind_opens_in_silence_and_alone(open_page, kind):
    page = open_page(kind)
    draw_all(page)
    assert page.inner_text("h1") == "stepmark report"
    # The fixture sees to it that nothing was said and nothing else was asked for.


def test_the_page_has_the_whole_report_in_it(open_page):
    page = open_page()
    assert json.loads(page.text_content("script#report")) == page.report.json


@pytest.mark.parametrize("kind", ["whole", "small", "old"])
def test_every_figure_equals_the_report(open_page, kind):
    page = open_page(kind)
    figures = page.eval_on_selector_all(
        "data[data-at]",
        "all => all.map((it) => [it.dataset.at, it.value, it.textContent, it.dataset.unit ?? '1'])",
    )
    assert len(figures) > 100
    for at, value, text, unit in figures:
        expected = page.report.at(at)
        assert float(value) == expected, at
        decimals = len(text.partition(".")[2])
        error = abs(float(text) * float(unit) - expected)
        assert error <= 0.5000001 * 10**-decimals * float(unit), (at, text, expected)
    there = {at for at, *_ in figures}
    for no, run in enumerate(page.report.json["runs"]):
        for name, value in run["latency_ms"].items():
            at = f".runs[{no}].latency_ms.{name}"
            assert (at in there) == (value is not None), at


def test_every_choice_draws_its_charts(open_page):
    page = open_page()
    seen = set()
    for scenario in options(page, "scenario"):
        page.select_option("#scenario", scenario)
        for broker in options(page, "broker"):
            page.select_option("#broker", broker)
            for load in options(page, "load"):
                page.select_option("#load", load)
                run = page.report.json["runs"][shown(page)]
                assert (run["scenario"], run["broker"]) == (scenario, broker)
                draw_all(page)
                check_charts(page, run)
                seen.add(shown(page))
    assert seen == set(range(len(page.report.json["runs"])))


def test_ladders_are_drawn_rung_by_rung(open_page):
    page = open_page()
    draw_all(page)
    figures = page.query_selector_all("#ladders figure.chart")
    assert len(figures) == len(page.report.json["ladders"]) == 2
    for figure, ladder in zip(figures, page.report.json["ladders"]):
        for it in figure.evaluate(f"it => ({PLOTTED})([it])")["ladder"]:
            key = f"{it['label'].lower()}_ms"
            expected = [[rung["asked_per_s"], rung[key]] for rung in ladder["rungs"]]
            assert it["points"] == expected
            assert it["seen"] == len(expected)


def row(page, table, name):
    cells = page.locator(f"#{table} tbody tr", has_text=name).first.locator("th, td")
    header = page.locator(f"#{table} thead").locator("th, td")
    return dict(zip(header.all_inner_texts(), cells.all_inner_texts()))


def test_what_is_asked_first_is_told_first(open_page):
    page = open_page()

    def run(scenario):
        runs = page.report.json["runs"]
        return next(it for it in runs if (it["scenario"], it["broker"]) == (scenario, "pgmq"))

    tree = run("hierarchical_tree_rust")["latency_ms"]["p95"]
    told = row(page, "highlight-scenarios", "hierarchical_tree_rust")
    assert told["P95 on pgmq"] == f"{tree:.2f}"
    cost = run("ffi_linear_python")["difference"]["percent"]["median"]
    told = row(page, "highlight-languages", "Python over Rust, linear")
    assert told["pgmq"] == f"+{cost:.1f} %"
    segments = run("linear_rust")["breakdown"]["segments"]
    slowest = max(segments, key=lambda it: it["share"])
    told = row(page, "highlight-scenarios", "linear_rust")["slowest on pgmq"]
    assert told == f"{slowest['segment']} ({100 * slowest['share']:.0f} %)"
    # All of it without scrolling on a desk's screen.
    for table in "highlight-scenarios", "highlight-languages":
        assert page.locator(f"#{table} thead").bounding_box()["y"] < DESKTOP["height"]


def test_texts_of_a_report_are_texts_in_the_page(open_page):
    page = open_page(at="#run-complex_dag_rust-pgmq-2")
    problem = page.locator("article.run:not([hidden]) .remarks li").first.inner_text()
    assert "</script><script>alert(1)</script> <!-- & not \"2\" | _3_" in problem


def test_a_link_to_a_run_shows_it(open_page):
    page = open_page()
    page.locator("#highlight-scenarios a", has_text="batch_csv_1000").click()
    run = page.report.json["runs"][shown(page)]
    assert run["scenario"] == "batch_csv_1000"
    assert page.input_value("#scenario") == "batch_csv_1000"
    # And its own address, opened anew.
    page = open_page(at="#run-linear_rust-rabbitmq-64")
    run = page.report.json["runs"][shown(page)]
    assert (run["scenario"], run["broker"], run["concurrency"]) == ("linear_rust", "rabbitmq", 64)


def test_without_a_script_every_table_is_there(open_page):
    page = open_page(java_script_enabled=False)
    assert page.locator("article.run:visible").count() == len(page.report.json["runs"])
    assert page.locator("figure .plot:visible").count() == 0
    assert not page.locator("#choice").is_visible()
    assert page.locator("#summary table:visible").count() > 0


def test_a_phone_scrolls_no_page_sideways(open_page):
    page = open_page(viewport=PHONE)

    def check(what):
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= PHONE["width"], (what, width)

    check("at first")
    for details in page.query_selector_all("main > section > details"):
        details.evaluate("it => { it.open = true; }")
    scenarios = set()
    for article in page.query_selector_all("article.run"):
        name, scenario = article.get_attribute("id"), article.get_attribute("data-scenario")
        if scenario in scenarios:
            continue
        scenarios.add(scenario)
        page.evaluate("id => { location.hash = id; }", name)
        page.wait_for_function("id => !document.getElementById(id).hidden", arg=name)
        for details in article.query_selector_all("details"):
            details.evaluate("it => { it.open = true; }")
        draw_all(page)
        check(name)
