"""The templates of `report/` for the page's HTML components."""

from typing import Any

from forensic_chat.report.fragments import render


def message(text: str, *, error: bool = False) -> str:
    """One line: a state, or what went wrong."""
    return safe(render("message.html", text=text, error=error))


def part(template: str, **values: Any) -> str:
    """A template filled in."""
    return safe(render(template, **values))


def safe(fragment: str) -> str:
    """`fragment` without the characters that Gradio's HTML component reads as templates."""
    return fragment.replace("{", "&#123;").replace("$", "&#36;")
