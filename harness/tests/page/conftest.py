"""Reports to look at, and a browser that keeps what a page says and asks for."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[3]
WRITE_REPORT = ROOT / "target/debug/examples/write_report"


class Report:
    """A folder with a report in every format."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.url = (folder / "report.html").as_uri()
        self.json = json.loads((folder / "report.json").read_text())

    def at(self, path: str):
        """The value at a path as jq writes it."""
        keys = re.findall(r'\[(\d+)\]|\.(\w+)|\.("(?:[^"\\]|\\.)*")', path)
        value = self.json
        for place, word, text in keys:
            value = value[int(place)] if place else value[word or json.loads(text)]
        return value


@pytest.fixture(scope="session")
def report(tmp_path_factory):
    """Makes the report of a kind: whole, small, old or empty."""
    made = {}

    def report(kind: str) -> Report:
        if kind not in made:
            folder = tmp_path_factory.mktemp(kind)
            subprocess.run([WRITE_REPORT, folder, kind], check=True)
            made[kind] = Report(folder)
        return made[kind]

    return report


@pytest.fixture(scope="session")
def browser():
    program = shutil.which(os.environ.get("STEPMARK_CHROMIUM") or "chromium")
    assert program, "no Chromium: as root, run: apt-get install -y chromium"
    # Chromium's sandbox does not run as root; the pages are our own.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        yield browser
        browser.close()


DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 375, "height": 720}


@pytest.fixture
def open_page(browser, report):
    """Opens the page of a report; at the end it must have said and asked for nothing."""
    opened = []

    def open_page(kind="whole", viewport=DESKTOP, at="", **options):
        # Without smooth scrolling, which takes its time.
        options = {"reduced_motion": "reduce", **options}
        context = browser.new_context(viewport=viewport, **options)
        page = context.new_page()
        page.said, page.asked = [], []
        page.on("console", lambda message: page.said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: page.said.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (page.said.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: page.asked.append(request.url))
        page.report = report(kind)
        page.goto(page.report.url + at)
        opened.append(page)
        return page

    yield open_page
    for page in opened:
        own = page.report.url
        assert page.said == [], page.said
        others = [url for url in page.asked if url.split("#")[0] != own and url != "data:,"]
        assert others == [], others
        page.context.close()
