"""Batches, history, examples, the keyboard, the theme and the first paint, in a real Chromium."""

import csv
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Live, eventually, fits, shoot
from tests.images import grainy, photo

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*no_silent_downcasting"),  # an option that Gradio sets in pandas
]
FIRST_PAINT = 2.0
"""Seconds, at most."""
desktop = pytest.mark.parametrize("browser", ["desktop"], indirect=True)


def forged(folder: Path, name: str = "forged.png", seed: int = 0) -> Path:
    grainy((160, 120, 320, 240), seed, 640, 480).save(path := folder / name)
    return path


def examine(page: Any, path: Path) -> None:
    page.set_input_files("#drop input[type=file]", path)
    page.locator(".fc.verdict").filter(has_text=path.name).wait_for()


def test_many_images_become_a_table_to_export(browser: Any, live: Live, tmp_path: Path) -> None:
    page = browser
    photo(0, 640, 480).save(real := tmp_path / "a photo with quite a long file name, as phones give.jpg")
    with zipfile.ZipFile(tmp_path / "pile.zip", "w") as pile:
        pile.write(forged(tmp_path), "holiday/forged.png")
        pile.writestr("holiday/<b>broken</b>.png", b"no picture")
    page.get_by_role("tab", name="Many images").click()
    shoot(page, tmp_path / "batch-start.png")
    page.set_input_files("#drop-many input[type=file]", [real, tmp_path / "pile.zip"])
    page.get_by_text("Done: 3 examined.").wait_for()
    table = page.locator(".lines")
    text = table.inner_text()
    for expected in ("pile.zip/holiday/forged.png", "tampered", "pile.zip/holiday/<b>broken</b>.png"):
        assert expected in text
    assert table.locator("tbody tr").count() == 3
    assert fits(page)
    shoot(page, tmp_path / "batch.png")
    files = {}
    for name, file in {"JSON": "json", "CSV": "csv", "HTML": "html"}.items():
        with page.expect_download() as download:
            page.locator("#batch").get_by_role("link", name=name).click()
        files[file] = tmp_path / f"results.{file}"
        download.value.save_as(files[file])
    labels = [row.get("verdict", {}).get("label") for row in json.loads(files["json"].read_text("utf-8"))]
    assert labels == ["real", "tampered", None]
    with files["csv"].open(encoding="utf-8", newline="") as file:
        assert [row["verdict"] for row in csv.DictReader(file)] == ["real", "tampered", ""]
    looking = page.context.new_page()
    looking.goto(files["html"].as_uri())
    shoot(looking, tmp_path / "batch-export.png")
    assert fits(looking)
    assert not any(path.stat().st_size for path in live.uploads.rglob("*") if path.is_file())


def test_a_bomb_is_one_clear_line(browser: Any, live: Live, tmp_path: Path) -> None:
    page = browser
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as bomb:
        for k in range(12):
            bomb.writestr(f"{k}.png", bytes(19_000_000))
    page.get_by_role("tab", name="Many images").click()
    page.set_input_files("#drop-many input[type=file]", tmp_path / "bomb.zip")
    page.get_by_role("alert").filter(has_text="unpacks to more than 200 MB").wait_for()
    shoot(page, tmp_path / "bomb.png")
    assert not any(path.stat().st_size for path in live.uploads.rglob("*") if path.is_file())


def test_history_goes_back_and_forgets(browser: Any, live: Live, tmp_path: Path) -> None:
    page = browser
    page.get_by_role("tab", name="History").click()
    page.get_by_text("Nothing was examined in this tab yet.").wait_for()
    page.get_by_role("tab", name="One image").click()
    examine(page, forged(tmp_path, "first.png", seed=1))
    page.get_by_role("button", name="Where exactly?").click()
    (tab,) = live.page.memory.tabs.values()
    held = tab.current
    assert held is not None
    assert eventually(lambda: len(held.shown) == 2 and not held.busy)
    examine(page, forged(tmp_path, "second.png"))
    assert page.locator("#chat").get_by_text("Where exactly?").count() == 0
    page.get_by_role("button", name="Compare the two").click()
    page.locator("#chat").get_by_text('For the other image, "first.png"').wait_for()
    assert "first.png" in page.get_by_label("Another image of the history to compare it with").input_value()
    shoot(page, tmp_path / "comparison.png")
    assert fits(page)

    page.get_by_role("tab", name="History").click()
    page.get_by_role("radio", name="first.png").check()
    shoot(page, tmp_path / "history.png")
    assert fits(page)
    page.get_by_role("button", name="Open").click()
    page.locator(".fc.verdict").filter(has_text="first.png").wait_for()
    page.locator("#chat").get_by_text("Where exactly?").wait_for()

    page.get_by_role("tab", name="History").click()
    assert page.get_by_role("radio", name="first.png").is_checked()
    page.get_by_role("button", name="Forget this image").click()
    page.get_by_role("radio", name="first.png").wait_for(state="detached")
    page.get_by_role("button", name="Forget all").click()
    page.get_by_text("Nothing was examined in this tab yet.").wait_for()
    assert not tab.images
    page.get_by_role("tab", name="One image").click()
    page.locator(".fc.verdict").wait_for(state="detached")


@desktop
def test_another_browser_s_tab_is_not_there(browser: Any, live: Live, chromium: Any, tmp_path: Path) -> None:
    examine(browser, forged(tmp_path))
    (tab,) = live.page.memory.tabs.values()
    assert tab.current is not None
    address = f"{live.address}/tab/{tab.current.key}/examination.json"
    assert browser.context.request.get(address).status == 200
    stranger = chromium.new_context()
    assert stranger.request.get(address).status == 404
    stranger.close()


@desktop
def test_an_example_is_examined(browser: Any, tmp_path: Path) -> None:
    browser.get_by_role("button", name="Example: a pasted part").click()
    browser.locator(".fc.verdict").filter(has_text="coffee-spliced.jpg").wait_for()
    shoot(browser, tmp_path / "example.png")


def choosing(page: Any, tries: int = 5) -> Any:
    """The file chooser that Enter opens; a page that is still coming alive may miss a key."""
    from playwright.sync_api import TimeoutError as Late

    try:
        with page.expect_file_chooser(timeout=5_000) as chooser:
            page.keyboard.press("Enter")
        return chooser.value
    except Late:
        if tries == 1:
            raise
        return choosing(page, tries - 1)


@desktop
def test_the_keyboard_is_enough(browser: Any, live: Live, tmp_path: Path) -> None:
    page = browser

    def tab_to(what: str) -> None:
        for _ in range(80):
            page.keyboard.press("Tab")
            if page.evaluate("what => document.activeElement.matches(what)", what):
                return
        raise AssertionError(f"the Tab key never reaches {what}")

    tab_to("#drop button")
    chooser = choosing(page)
    chooser.set_files(forged(tmp_path))
    page.locator(".fc.verdict").wait_for()
    page.evaluate("document.activeElement.blur(); window.getSelection().removeAllRanges()")
    tab_to("button.region")
    shown = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert shown != "none", "the focus is seen"
    page.keyboard.press("Enter")
    assert page.locator(".claims li.lit").count() >= 1
    tab_to(".loupe")
    tab_to(".pick")
    page.keyboard.press("Space")
    assert page.locator(".picked").inner_text().startswith("Highlighted")
    page.screenshot(path=tmp_path / "focus.png")
    tab_to("#question textarea")
    page.keyboard.type("Where exactly?")
    page.keyboard.press("Enter")
    (tab,) = live.page.memory.tabs.values()
    held = tab.current
    assert held is not None
    assert eventually(lambda: len(held.shown) == 2 and not held.busy)
    tab_to("[role=tab][aria-selected=true]")


@desktop
def test_light_and_dark_are_a_choice_that_stays(browser: Any, tmp_path: Path) -> None:
    page = browser

    def ground() -> int:
        colour = "getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).map(Number)"
        return int(page.evaluate(f"{colour}.slice(0, 3).reduce((a, b) => a + b)"))

    assert ground() > 600
    page.get_by_role("button", name="Light / dark").click()
    assert ground() < 200
    page.reload()
    page.wait_for_selector("#drop input[type=file]", state="attached")
    assert eventually(lambda: ground() < 200, 10)
    examine(page, forged(tmp_path))
    shoot(page, tmp_path / "dark.png")


def test_it_is_there_within_two_seconds(browser: Any, live: Live) -> None:
    """The best of three loads: the machine may be busy, the page may not be slow."""

    def painted() -> float:
        browser.goto(live.address)
        browser.wait_for_selector("#drop input[type=file]", state="attached")
        entry = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
        assert eventually(lambda: browser.evaluate(entry), 10)
        return float(browser.evaluate(entry)) / 1000

    times = [painted() for _ in range(3)]
    print("first paint:", *(f"{seconds:.2f} s" for seconds in times))
    assert min(times) <= FIRST_PAINT
