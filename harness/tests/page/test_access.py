"""Whether everybody can use report.html: keys alone, either theme, any eyes."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import DESKTOP, PHONE
from test_page import draw_all, options, shown

# Focus, in words: the element's own name, its id, and whether its frame can be seen.
FOCUS = """() => {
  const it = document.activeElement;
  const { outlineStyle, outlineWidth } = getComputedStyle(it);
  const framed = outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2;
  const place = [...document.querySelectorAll('*')].indexOf(it);
  return { name: it.localName, id: it.id, framed, place };
}"""
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    "kind, viewport", [("whole", DESKTOP), ("small", DESKTOP), ("small", PHONE)]
)
def test_axe_finds_nothing(open_page, kind, viewport, theme):
    page = open_page(kind, viewport=viewport, color_scheme=theme)
    draw_all(page)
    if kind == "small":
        page.eval_on_selector_all("details", "all => all.forEach((it) => { it.open = true; })")
    found = Axe().run(page, options={"runOnly": RULES, "resultTypes": ["violations"]}).response
    told = [
        f"{it['id']}: {it['help']}: {node['target']}: {node.get('failureSummary')}"
        for it in found["violations"]
        for node in it["nodes"][:5]
    ]
    assert told == []


def test_keys_go_through_the_page_in_its_order(open_page):
    page = open_page("small")
    places = []
    for step in range(60):
        page.keyboard.press("Tab")
        focus = page.evaluate(FOCUS)
        if focus["name"] == "body":
            break
        assert focus["framed"], focus
        places.append(focus)
    order = [focus["place"] for focus in places]
    assert order == sorted(order)
    ids = [focus["id"] for focus in places]
    assert ids.index("theme") < ids.index("scenario") < ids.index("broker") < ids.index("load")
    assert {"a", "button", "select", "div", "summary"} <= {focus["name"] for focus in places}


def test_the_first_key_leads_past_the_links(open_page):
    page = open_page("small")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    section = page.evaluate("document.activeElement.closest('section[id]').id")
    assert section == "highlight-scenarios"


def test_keys_choose_a_run_and_its_charts_are_drawn(open_page):
    page = open_page()
    for name in "scenario", "broker", "load":
        page.focus(f"#{name}")
        before = page.input_value(f"#{name}")
        page.keyboard.press("ArrowDown")
        after = page.input_value(f"#{name}")
        assert after == options(page, name)[options(page, name).index(before) + 1]
        assert page.evaluate("document.activeElement.id") == name
        run = page.report.json["runs"][shown(page)]
        assert page.input_value("#scenario") == run["scenario"]
        assert page.input_value("#broker") == run["broker"]
        draw_all(page)
        if name == "scenario":  # only the linear workflow ran in several ways
            page.focus("#scenario")
            page.keyboard.press("ArrowUp")


def test_keys_unfold_and_scroll_tables(open_page):
    page = open_page(viewport=PHONE)
    page.focus("#tables summary >> nth=0")
    page.keyboard.press("Enter")
    assert page.locator("#tables details").first.get_attribute("open") is not None
    box = page.locator("#tables details .scroll").first
    box.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("it => it.scrollLeft > 0", arg=box.element_handle())


def brightness(page):
    """Of the page behind everything, from 0 to 255."""
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return sum(int(part) for part in colour[4:-1].split(",")) / 3


def test_the_theme_is_the_reader_s_and_can_be_switched_by_keys(open_page):
    page = open_page("small", color_scheme="dark")
    assert brightness(page) < 60
    draw_all(page)
    page.focus("#theme")
    assert page.get_attribute("#theme", "aria-pressed") == "true"
    page.keyboard.press("Enter")
    assert brightness(page) > 200
    assert page.get_attribute("#theme", "aria-pressed") == "false"
    # What is drawn is drawn in the new colours, and the choice is remembered.
    assert page.evaluate("Chart.defaults.color") == page.evaluate(
        "getComputedStyle(document.querySelector('.note')).color"
    )
    page.reload()
    assert brightness(page) > 200
    page.focus("#theme")
    page.keyboard.press("Space")
    assert brightness(page) < 60


def test_a_page_follows_a_system_that_changes_its_theme(open_page):
    page = open_page("small", color_scheme="light")
    assert brightness(page) > 200
    page.emulate_media(color_scheme="dark")
    # Styles change at once; the script is told with the next frame.
    page.wait_for_selector('#theme[aria-pressed="true"]', state="attached")
    assert brightness(page) < 60


@pytest.mark.parametrize("motion, behaviour", [("reduce", "auto"), ("no-preference", "smooth")])
def test_nothing_moves_for_who_does_not_want_it(open_page, motion, behaviour):
    page = open_page("small", reduced_motion=motion)
    told = page.evaluate("getComputedStyle(document.documentElement).scrollBehavior")
    assert told == behaviour
    assert page.evaluate("Chart.defaults.animation") is False


def test_every_chart_says_what_it_shows(open_page):
    page = open_page("small")
    draw_all(page)
    words = page.eval_on_selector_all(
        ".plot [role=img]", "all => all.map((it) => it.getAttribute('aria-label'))"
    )
    assert len(words) == 6
    assert all(len(it) > 40 and any(digit.isdigit() for digit in it) for it in words), words
