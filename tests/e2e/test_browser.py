"""The browser app as a person uses it, in a real Chromium; screenshots are left in pytest's folder."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from forensic_chat.report.custody import check
from tests.e2e.conftest import Live, eventually
from tests.images import grainy, photo

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*no_silent_downcasting"),  # an option that Gradio sets in pandas
]

SIZES = {"desktop": (1280, 900, "light"), "phone": (390, 844, "dark")}


@pytest.fixture(params=SIZES)
def browser(request: pytest.FixtureRequest, live: Live, chromium: Any) -> Iterator[Any]:
    """A fresh tab on the app; what it asks of other hosts fails the test."""
    width, height, scheme = SIZES[request.param]
    context = chromium.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, accept_downloads=True
    )
    page = context.new_page()
    page.set_default_timeout(60_000)
    foreign: list[str] = []
    local = (live.address, "data:", "blob:", "file:")
    page.on("request", lambda asked: None if asked.url.startswith(local) else foreign.append(asked.url))
    page.goto(live.address)
    page.wait_for_selector("input[type=file]", state="attached")
    yield page
    assert not foreign
    context.close()


def give(page: Any, path: Path) -> None:
    page.set_input_files("input[type=file]", path)


def fits(page: Any) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


def answered(page: Any, live: Live, turns: int) -> str:
    """The last of so many answers, once it has ended and is shown."""
    (tab,) = live.page.tabs.values()
    assert eventually(lambda: len(tab.shown) == 2 * turns and not tab.busy)
    answer = str(tab.shown[-1]["content"])
    page.locator("#chat").get_by_text(answer.splitlines()[-1]).last.wait_for()
    page.get_by_role("button", name="Stop the answer").wait_for(state="hidden")
    return answer


def test_from_upload_to_download(browser: Any, live: Live, tmp_path: Path) -> None:
    page = browser
    grainy((160, 120, 320, 240), 0, 640, 480).save(forged := tmp_path / "forged.png")
    page.screenshot(path=tmp_path / "start.png", full_page=True)
    assert page.get_by_label("Your question").is_disabled()
    give(page, forged)

    verdict = page.locator(".fc.verdict")
    verdict.wait_for()
    said = verdict.inner_text()
    assert "Tampered" in said
    assert "forged.png" in said
    assert "operating point" in said
    assert page.locator(".canvas .layer").is_visible()
    slider = page.get_by_role("slider", name="Opacity of the mask")
    slider.fill("20")
    assert page.locator(".canvas .layer").evaluate("e => getComputedStyle(e).opacity") == "0.2"
    slider.fill("80")
    assert page.locator(".regions").inner_text().startswith("R1")
    assert page.locator(".claims li").count() >= 2
    assert "verified" in page.locator(".claims").inner_text()
    assert page.locator(".findings tbody tr").count() >= 10
    assert "≤" in page.locator(".findings").inner_text()
    page.get_by_text("Provenance and metadata").first.click()
    assert "never evidence of fakery" in page.locator(".provenance").inner_text()
    assert "probability, not proof" in page.locator(".limits").inner_text()

    page.get_by_role("button", name="Where exactly?").click()
    assert "verified" in answered(page, live, 1)
    assert page.get_by_role("button", name="Where exactly?").count() == 0, "asked already"
    page.get_by_label("Your question").fill("How sure are you?")
    page.keyboard.press("Enter")
    assert "verified" in answered(page, live, 2)
    assert page.locator("#chat").get_by_text("How sure are you?").is_visible()
    page.screenshot(path=tmp_path / "conversation.png", full_page=True)
    assert fits(page)

    with page.expect_download() as download:
        page.get_by_role("link", name="Examination (JSON)").click()
    download.value.save_as(tmp_path / "examination.json")
    examination = json.loads((tmp_path / "examination.json").read_text("utf-8"))
    assert examination["verdict"]["label"] == "tampered"
    assert examination["image"]["name"] == forged.name
    with page.expect_download() as download:
        page.get_by_role("link", name="Report (HTML, signed)").click()
    download.value.save_as(report := tmp_path / "report.html")
    assert check(report.read_bytes()).examination.image.name == forged.name
    looking = page.context.new_page()
    looking.goto(report.as_uri())
    looking.get_by_role("heading", name="Tampered").wait_for()
    looking.screenshot(path=tmp_path / "report.png", full_page=True)
    assert fits(looking)
    assert not any(path.stat().st_size for path in live.uploads.rglob("*") if path.is_file())

    assert len(live.page.tabs) == 1
    page.close()
    assert eventually(lambda: not live.page.tabs), "a closed tab is forgotten"


def test_nothing_marked_then_a_bad_file_then_another(browser: Any, live: Live, tmp_path: Path) -> None:
    page = browser
    photo(0, 640, 480).save(real := tmp_path / "photo.jpg", quality=92)
    (bad := tmp_path / "notes.txt").write_text("no picture")
    give(page, real)
    page.locator(".fc.verdict").wait_for()
    assert "Nothing is marked" in page.locator(".fc.picture").inner_text()
    page.screenshot(path=tmp_path / "unmarked.png", full_page=True)

    give(page, bad)
    alert = page.get_by_role("alert").filter(has_text="notes.txt")
    alert.wait_for()
    assert alert.inner_text().count("\n") == 0
    assert page.locator(".fc.verdict").count() == 0
    assert page.get_by_label("Your question").is_disabled()
    page.screenshot(path=tmp_path / "refused.png", full_page=True)

    give(page, real)
    page.locator(".fc.verdict").wait_for()
    assert fits(page)


def test_everything_has_a_name_for_a_screen_reader(browser: Any, tmp_path: Path) -> None:
    page = browser
    grainy((160, 120, 320, 240), 0, 640, 480).save(forged := tmp_path / "forged.png")
    give(page, forged)
    page.locator(".fc.verdict").wait_for()
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('button, a, input, textarea, img')].filter(e =>
             e.checkVisibility() && !(e.innerText || e.alt || e.ariaLabel || e.title ||
             e.labels?.length || e.getAttribute('aria-labelledby') || e.closest('label')))
             .map(e => e.outerHTML.slice(0, 200))"""
    )
    assert not nameless
    assert page.evaluate("document.documentElement.lang")
