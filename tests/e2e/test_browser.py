"""One image in the browser app as a person uses it, in a real Chromium; screenshots stay in pytest's folder."""

import json
from pathlib import Path
from typing import Any

import pytest

from forensic_chat.report.custody import check
from tests.e2e.conftest import Live, eventually, fits, shoot
from tests.factories import calibration
from tests.images import grainy, photo

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*no_silent_downcasting"),  # an option that Gradio sets in pandas
]


@pytest.fixture
def forged(tmp_path: Path) -> Path:
    grainy((160, 120, 320, 240), 0, 640, 480).save(path := tmp_path / "forged.png")
    return path


def give(page: Any, path: Path) -> None:
    page.set_input_files("#drop input[type=file]", path)


def answered(page: Any, live: Live, turns: int) -> str:
    """The last of so many answers, once it has ended and is shown."""
    (tab,) = live.page.memory.tabs.values()
    held = tab.current
    assert held is not None
    assert eventually(lambda: len(held.shown) == 2 * turns and not held.busy)
    answer = str(held.shown[-1]["content"])
    page.locator("#chat").get_by_text(answer.splitlines()[-1]).last.wait_for()
    page.get_by_role("button", name="Stop the answer").wait_for(state="hidden")
    return answer


def opacity(page: Any, layer: str) -> str:
    return str(page.locator(f".canvas .layer.{layer}").evaluate("e => getComputedStyle(e).opacity"))


def test_from_upload_to_download(browser: Any, live: Live, forged: Path, tmp_path: Path) -> None:
    page = browser
    shoot(page, tmp_path / "start.png")
    assert page.get_by_label("Your question").is_disabled()
    give(page, forged)

    verdict = page.locator(".fc.verdict")
    verdict.wait_for()
    said = verdict.inner_text()
    for expected in ("Tampered", "forged.png", "operating point"):
        assert expected in said
    mask = page.locator(".canvas .layer.mask")
    assert mask.is_visible()
    slider = page.get_by_role("slider", name="Opacity of the layer")
    slider.fill("20")
    assert opacity(page, "mask") == "0.2"
    slider.fill("80")
    for name in ("Suspicion", "Reliability", "None"):
        page.get_by_role("radio", name=name).check()
        assert not mask.is_visible()
        assert page.locator(f".canvas .layer.{name.lower()}").is_visible() is (name != "None")
        if name == "Suspicion":
            shoot(page, tmp_path / "suspicion.png")
    page.get_by_role("radio", name="Mask").check()
    assert page.locator(".claims li").count() >= 2
    assert "verified" in page.locator(".claims").inner_text()
    assert page.locator(".findings tbody tr").count() >= 10
    assert "≤" in page.locator(".findings").inner_text()
    assert "Content Credentials: none" in page.locator(".provenance").inner_text()
    assert "never evidence of fakery" in page.locator(".provenance").inner_text()
    page.get_by_text("File, models and time").first.click()
    assert "total" in page.locator(".timings").inner_text()
    assert "probability, not proof" in page.locator(".limits").inner_text()

    page.get_by_role("button", name="Where exactly?").click()
    assert "verified" in answered(page, live, 1)
    assert page.get_by_role("button", name="Where exactly?").count() == 0, "asked already"
    page.get_by_label("Your question").fill("How sure are you?")
    page.keyboard.press("Enter")
    assert "verified" in answered(page, live, 2)
    assert page.locator("#chat").get_by_text("How sure are you?").is_visible()
    shoot(page, tmp_path / "conversation.png")
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
    with page.expect_download() as download:
        page.get_by_role("link", name="Report (PDF, signed)").click()
    download.value.save_as(tmp_path / "report.pdf")
    assert check((tmp_path / "report.pdf").read_bytes()).examination.image.name == forged.name
    looking = page.context.new_page()
    looking.goto(report.as_uri())
    looking.get_by_role("heading", name="Tampered").wait_for()
    shoot(looking, tmp_path / "report.png")
    assert fits(looking)
    assert not any(path.stat().st_size for path in live.uploads.rglob("*") if path.is_file())


def test_regions_and_claims_light_each_other_up(browser: Any, forged: Path, tmp_path: Path) -> None:
    page = browser
    give(page, forged)
    region = page.get_by_role("button", name="R1: highlight")
    region.click()
    assert region.get_attribute("aria-pressed") == "true"
    lit = page.locator(".claims li.lit")
    assert lit.count() >= 1
    assert all("R1" in text or "E" in text for text in lit.all_inner_texts())
    assert "R1" in page.locator(".findings tr.lit").first.inner_text()
    assert page.locator(".picked").inner_text().startswith("Highlighted: R1, E")
    native = page.locator("details.native")
    assert native.get_attribute("open") is not None
    pixels = native.locator("img").first
    assert eventually(lambda: pixels.evaluate("e => e.naturalWidth")), "the pixels have arrived"
    assert pixels.evaluate("e => [e.naturalWidth, e.naturalHeight]") == [208, 168], "native, with a margin"
    native.get_by_label("Enlargement of R1").select_option("4")
    assert pixels.evaluate("e => e.getBoundingClientRect().width") == 4 * 208
    native.get_by_role("checkbox", name="Mask").check()
    assert native.locator(".layer").is_visible()
    assert fits(page)
    shoot(page, tmp_path / "region.png")
    region.click()
    assert page.locator(".lit").count() == 0
    assert page.locator(".picked").inner_text() == ""

    claim = page.locator(".claims li").filter(has=page.get_by_role("link", name="R1")).first
    claim.get_by_role("button").click()
    assert "lit" in str(region.get_attribute("class"))
    assert "lit" in str(claim.get_attribute("class"))
    assert region.get_attribute("aria-pressed") == "false", "lit by the claim, not chosen itself"
    shoot(page, tmp_path / "claim.png")


def test_nothing_marked_then_a_bad_file_then_another(browser: Any, tmp_path: Path) -> None:
    page = browser
    photo(0, 640, 480).save(real := tmp_path / "photo.jpg", quality=92)
    (bad := tmp_path / "notes.txt").write_text("no picture")
    give(page, real)
    page.locator(".fc.verdict").wait_for()
    assert "Nothing is marked" in page.locator(".fc.picture").inner_text()
    shoot(page, tmp_path / "unmarked.png")

    give(page, bad)
    alert = page.get_by_role("alert").filter(has_text="notes.txt")
    alert.wait_for()
    assert alert.inner_text().count("\n") == 0
    assert page.locator(".fc.verdict").count() == 0
    assert page.get_by_label("Your question").is_disabled()
    shoot(page, tmp_path / "refused.png")

    give(page, real)
    page.locator(".fc.verdict").wait_for()
    assert fits(page)


def test_undecided_is_a_result_of_its_own(
    browser: Any, live: Live, forged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = browser
    encoder, _ = live.examiner._seeing
    monkeypatch.setitem(vars(live.examiner), "_seeing", (encoder, calibration(undecided=(0.0, 0.999))))
    give(page, forged)
    verdict = page.locator(".fc.verdict.inconclusive")
    verdict.wait_for()
    said = verdict.inner_text()
    for expected in ("Inconclusive", "too near the middle", "a result, not a failure"):
        assert expected in said
    assert page.get_by_role("button", name="What would change your mind?").is_visible()
    shoot(page, tmp_path / "inconclusive.png")


def test_everything_has_a_name_for_a_screen_reader(browser: Any, forged: Path) -> None:
    page = browser
    give(page, forged)
    page.locator(".fc.verdict").wait_for()
    for tab in ("One image", "Many images", "History"):
        page.get_by_role("tab", name=tab).click()
        nameless = page.evaluate(
            """() => [...document.querySelectorAll('button, a, input, textarea, select, img')].filter(e =>
                 e.checkVisibility() && !(e.innerText || e.alt || e.ariaLabel || e.title ||
                 e.labels?.length || e.getAttribute('aria-labelledby') || e.closest('label')))
                 .map(e => e.outerHTML.slice(0, 200))"""
        )
        assert not nameless
    assert page.evaluate("document.documentElement.lang")
    assert page.locator("h1").count() == 1
