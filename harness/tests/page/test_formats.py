"""The formats for programs, as other people's readers read them."""

import csv
import xml.etree.ElementTree as ElementTree

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

KINDS = pytest.mark.parametrize("kind", ["whole", "small", "old"])


@KINDS
def test_openmetrics(report, kind):
    it = report(kind)
    text = (it.folder / "report.prom").read_text()
    assert text.endswith("# EOF\n")
    families = {family.name: family for family in openmetrics(text)}
    assert all(family.documentation for family in families.values())
    latency = {
        (sample.labels["run"], sample.labels["quantile"]): sample.value
        for sample in families["stepmark_latency_seconds"].samples
    }
    told = [value for run in it.json["runs"] for value in run["latency_ms"].values()]
    assert len(latency) == len([value for value in told if value is not None])
    first = it.json["runs"][0]
    name = f"{first['scenario']}-{first['broker']}"
    assert latency[name, "0.95"] == pytest.approx(first["latency_ms"]["p95"] / 1e3)
    assert families["stepmark_latency_seconds"].unit == "seconds"
    # A scraper of Prometheus' older format reads the same.
    old = {family.name for family in prometheus(text)}
    assert set(families) == old


@KINDS
def test_csv(report, kind):
    it = report(kind)
    with open(it.folder / "report.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(it.json["runs"])
    for row, run in zip(rows, it.json["runs"]):
        assert row["scenario"] == run["scenario"]
        assert row["status"] == run["status"]
        p95 = run["latency_ms"]["p95"]
        assert row["p95_ms"] == "" if p95 is None else float(row["p95_ms"]) == p95
        statements = run["work"]["sql_statements"]
        assert float(row["sql_statements"]) == statements


@KINDS
def test_junit(report, kind):
    it = report(kind)
    root = ElementTree.parse(it.folder / "junit.xml").getroot()
    runs = it.json["runs"]
    count = {status: len([run for run in runs if run["status"] == status]) for status in
             ("good", "over_budget", "incomplete", "invalid")}
    assert root.tag == "testsuites"
    assert int(root.get("failures")) == count["over_budget"]
    assert int(root.get("errors")) == count["incomplete"] + count["invalid"]
    cases = root.findall("./testsuite/testcase")
    left_out = len(it.json["left_out"])
    assert len(cases) == len(runs) + left_out == int(root.get("tests"))
    assert len(root.findall("./testsuite/testcase/skipped")) == left_out
    names = [(case.get("classname"), case.get("name")) for case in cases]
    assert len(set(names)) == len(names)
    broken = root.find("./testsuite/testcase/failure")
    if count["over_budget"]:
        assert "sql_statements is 25" in broken.get("message")
