"""A page of HTML as PDF, with WeasyPrint; nothing is fetched for it."""

from typing import Any

from forensic_chat.errors import UsageError


def ready() -> Any:
    """WeasyPrint. Raises UsageError if it, or a library it needs, is not installed."""
    try:
        from PIL import ImageFile

        tolerant = ImageFile.LOAD_TRUNCATED_IMAGES
        import weasyprint

        # Importing it makes Pillow read truncated files in the whole process; intake refuses those.
        ImageFile.LOAD_TRUNCATED_IMAGES = tolerant
    except ImportError:
        raise UsageError("a PDF needs WeasyPrint: pip install 'forensic-chat[pdf]', or take HTML") from None
    except OSError:
        raise UsageError(
            "a PDF needs the library Pango, which is not installed (Debian: libpangoft2-1.0-0), or take HTML"
        ) from None
    return weasyprint


def printed(page: str) -> bytes:
    """The PDF. Only pictures that the page carries itself are shown. Raises UsageError as `ready`."""
    weasyprint = ready()
    fetcher = weasyprint.urls.URLFetcher(allowed_protocols=["data"], allow_redirects=False)
    made: bytes = weasyprint.HTML(string=page, url_fetcher=fetcher).write_pdf()
    return made
