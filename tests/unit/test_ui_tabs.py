"""Tabs of the browser app: whose images they hold, what makes room, and their history."""

from pathlib import Path

import pytest

from tests.unit.ui_page import dropped, examined, last, page, tab

gradio = pytest.importorskip("gradio", reason="needs the extra `ui`")

from forensic_chat.ui import memory  # noqa: E402
from forensic_chat.ui import page as pages  # noqa: E402

__all__ = ["page"]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def test_tabs_don_t_know_each_other_and_close(page: pages.Page, tmp_path: Path) -> None:
    for session in "ab":
        examined(page, tmp_path, session)
    assert "R1" in last(page.examine.ask("Where exactly?", tab("a")))
    other = page.memory.tabs["b"].current
    assert other is not None
    assert other.shown == []
    assert page.memory.image(other.key, "one") is other
    page.close(tab("b"))
    assert page.memory.image(other.key, "one") is None
    assert list(page.memory.tabs) == ["a"]
    assert "no longer in memory" in last(page.examine.ask("Where exactly?", tab("b")))


def test_a_guessed_session_is_nobody_s(page: pages.Page, tmp_path: Path) -> None:
    examined(page, tmp_path)
    held = page.memory.tabs["a"].current
    assert held is not None
    thief = tab("a", browser="another")
    assert "no longer in memory" in last(page.examine.ask("Where exactly?", thief))
    assert page.history.refresh(thief)[1]["choices"] == []
    page.history.forget(held.key, thief)
    page.history.forget_all(thief)
    page.close(thief)
    message, *_ = page.examine.receive(dropped(tmp_path), thief)[1:]
    assert 'role="alert"' in message
    assert page.memory.tabs["a"].current is held, "nothing of it was touched"
    assert page.memory.image(held.key, "another") is None
    examined(page, tmp_path, "b")
    shown = page.history.open(held.key, tab("b"))
    assert all(update == gradio.skip() for update in shown), "another tab's image is not opened"


def test_the_oldest_tab_and_the_oldest_image_make_room(
    page: pages.Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for session in range(memory.MOST_TABS + 3):
        page.examine.receive(dropped(tmp_path), tab(str(session)))
    assert len(page.memory.tabs) == memory.MOST_TABS
    assert "0" not in page.memory.tabs
    mine = page.memory.opened(tab("9"))
    assert mine is not None
    for k in range(memory.MOST_IMAGES + 2):
        page.memory.hold(mine, memory.Held(f"{k}.png", bytes(10)))
    assert next(iter(mine.images.values())).name == "2.png"
    monkeypatch.setattr(memory, "MOST_BYTES", 100)
    page.memory.hold(mine, memory.Held("large.png", bytes(200)))
    assert [held.name for held in mine.images.values()] == ["large.png"]


def test_another_image_stops_the_one_before(page: pages.Page, tmp_path: Path) -> None:
    page.examine.receive(dropped(tmp_path), tab())
    before = page.memory.tabs["a"].current
    assert before is not None
    page.examine.receive(dropped(tmp_path), tab())
    assert before.stop.is_set()
    assert page.memory.tabs["a"].current is not before


def test_history_opens_an_image_with_its_conversation_and_forgets(page: pages.Page, tmp_path: Path) -> None:
    examined(page, tmp_path, name="first.png")
    last(page.examine.ask("Where exactly?", tab()))
    examined(page, tmp_path, name="second.png")
    _, chosen, *buttons = page.history.refresh(tab())
    (second, second_key), (first, first_key) = chosen["choices"]
    assert first.startswith("first.png: tampered, very likely, 1 question (")
    assert second.startswith("second.png: ")
    assert all(button["visible"] for button in buttons)
    tabs, verdict, result, chat, *_ = page.history.open(first_key, tab())
    assert tabs["selected"] == "image"
    assert "first.png" in verdict
    assert f"tab/{first_key}/report.html" in result
    assert chat[0]["content"] == "Where exactly?"
    assert page.history.forget(second_key, tab())[5] == gradio.skip(), "it is not the one that is shown"
    assert page.history.forget(first_key, tab())[5] == "", "what is shown goes, too"
    assert page.history.refresh(tab())[0]["visible"]


def test_two_images_of_a_tab_are_compared(page: pages.Page, tmp_path: Path) -> None:
    *_, other, button = examined(page, tmp_path, name="first.png", seed=1)
    assert (other["visible"], button["visible"]) == (False, False), "there is nothing to compare with"
    first = page.memory.tabs["a"].current
    assert first is not None
    *_, other, button = examined(page, tmp_path, name="second.png")
    assert [name.partition(":")[0] for name, _ in other["choices"]] == ["first.png"]
    assert (other["value"], other["visible"], button["visible"]) == (first.key, True, True)
    steps = [*page.examine.compare(first.key, tab())]
    assert steps[0][-1]["visible"] is False, "not while it is answered"
    *_, question, answer = steps[-1][0]
    assert question["content"] == 'Compare it with the image "first.png".'
    assert 'For the other image, "first.png": the verdict is' in answer["content"]
    assert "verified [E" in answer["content"]
    assert "first.png" in last(page.examine.ask("What did we speak about before?", tab()))
    strange = examined(page, tmp_path, "b", "third.png")
    assert strange[-1]["visible"] is False, "another tab's images are not offered"
    (refused,) = page.examine.compare(first.key, tab("b"))
    assert "no longer in memory" in refused[0][-1]["content"]
    page.history.forget(first.key, tab())
    (refused,) = page.examine.compare(first.key, tab())
    assert "no longer in memory" in refused[0][-1]["content"]
    assert refused[-1]["visible"] is False
