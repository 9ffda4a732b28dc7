"""Reports: what they show, that they need nothing else, and that no change goes unseen."""

import base64
import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from PIL import Image, ImageFile

from forensic_chat.cli.main import main
from forensic_chat.errors import ReportAltered, UsageError
from forensic_chat.imaging.intake import ExaminedImage, take_in
from forensic_chat.report import custody, pdf, pictures, tables
from forensic_chat.report.custody import canonical, check, write
from forensic_chat.schema import BatchError, BatchExamination, BatchFailure, Examination
from forensic_chat.settings import settings
from tests.fakes import FakeExaminer, examination, examiner
from tests.images import photo

__all__ = ["examiner"]
KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))


@pytest.fixture(autouse=True)
def key_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    path = tmp_path / "keys" / "key.pem"
    monkeypatch.setenv("FORENSIC_CHAT_SIGNING_KEY", str(path))
    settings.cache_clear()
    yield path
    settings.cache_clear()


@pytest.fixture
def image() -> ExaminedImage:
    return take_in(photo(), name="a <b>.png")


@pytest.fixture
def found(image: ExaminedImage) -> Examination:
    return examination(image.info())


def text_of(html: str) -> str:
    return re.sub(r"<[^>]+>", " ", html)


def test_it_says_everything_and_needs_nothing_else(image: ExaminedImage, found: Examination) -> None:
    html = write(image, found, KEY)
    for expected in (
        "Tampered",
        "R1",
        "The lower left was pasted in.",
        "not verified",
        "not checkable",
        "≤ 5.0%",
        "Method",
        "probability, not proof",
        image.sha256,
        "Custody",
        "alpha channel dropped",
    ):
        assert expected in text_of(html)
    assert "a <b>.png" not in html, "names are escaped"
    outside = re.findall(r"""(?:src|href)="(?!data:|#)[^"]*|url\(|https?://""", html)
    assert not outside


def test_what_was_signed_is_what_is_read(image: ExaminedImage, found: Examination) -> None:
    checked = check(write(image, found, KEY).encode())
    assert checked.examination == found
    assert checked.custody["file_sha256"] == image.sha256
    assert checked.key == custody.fingerprint_of(KEY.public_key())


def test_no_change_goes_unseen(image: ExaminedImage, found: Examination) -> None:
    html = write(image, found, KEY)
    data = html.encode()
    rng = np.random.default_rng(0)
    for at in rng.integers(0, len(data), 60):
        changed = bytearray(data)
        changed[at] ^= 1
        with pytest.raises(ReportAltered):
            check(bytes(changed))
    with pytest.raises(ReportAltered, match="page was changed"):
        check(html.replace("Tampered</span>", "Real</span>").encode())
    with pytest.raises(ReportAltered, match="record does not bear out"):
        check(html.replace('"label":"tampered"', '"label":"real"').encode())
    with pytest.raises(ReportAltered, match="rewritten"):
        check(html.replace('{"public_key"', '{ "public_key"').encode())
    with pytest.raises(ReportAltered, match="page was changed"):
        check(html.replace("</body>", "<p>and more</p></body>").encode())
    for other in (b"", b"\xff\xfe", b"<html></html>", b"[" * 100_000):
        with pytest.raises(ReportAltered, match="no report"):
            check(other)


def test_as_pdf(image: ExaminedImage, found: Examination) -> None:
    pypdf = pytest.importorskip("pypdf", reason="needs the extra `dev`")
    pytest.importorskip("weasyprint", reason="needs the extra `pdf`")
    data = custody.write_pdf(image, found, KEY)
    pages = pypdf.PdfReader(io.BytesIO(data), strict=True).pages
    text = " ".join(" ".join(page.extract_text() for page in pages).split())
    for expected in (
        "Tampered",
        "The lower left was pasted in.",
        "not verified",
        "Custody",
        "probability, not proof",
    ):
        assert expected in text
    assert len({image.name for page in pages for image in page.images}) == 2, "the picture, the mask over it"
    checked = check(data)
    assert (checked.examination, checked.key) == (found, custody.fingerprint_of(KEY.public_key()))
    assert data[-1024:].count(b"%%EOF") == 1, "where readers look for it"
    for at in np.random.default_rng(0).integers(0, len(data), 60):
        changed = bytearray(data)
        changed[at] ^= 1
        with pytest.raises(ReportAltered):
            check(bytes(changed))
    with pytest.raises(ReportAltered, match="page was changed"):
        check(data + b"\n")


def test_truncated_pictures_are_still_refused_after_a_pdf_was_made() -> None:
    pdf.ready()
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


def test_a_pdf_shows_nothing_from_elsewhere(tmp_path: Path) -> None:
    pypdf = pytest.importorskip("pypdf", reason="needs the extra `dev`")
    pytest.importorskip("weasyprint", reason="needs the extra `pdf`")
    from forensic_chat.report.pdf import printed

    photo().save(secret := tmp_path / "secret.png")
    data = printed(f"<img src='{secret.as_uri()}'><img src='http://127.0.0.1:1/a.png'><p>text")
    (page,) = pypdf.PdfReader(io.BytesIO(data)).pages
    assert not page.images


def test_the_heatmap_is_bright_where_it_is_suspicious(image: ExaminedImage) -> None:
    suspicion = np.zeros((8, 12), np.float32)
    suspicion[1:5, 1:5] = 1
    with Image.open(io.BytesIO(pictures.heatmap(image, suspicion))) as drawn:
        pixels = np.asarray(drawn.convert("RGB")).astype(int)
    assert pixels.shape == image.pixels.shape
    inside, outside = pixels[12:36, 12:36], pixels[:, 60:]
    assert inside[..., 0].mean() > outside[..., 0].mean() + 60
    assert (inside[..., 0] > inside[..., 2]).all()


def test_another_key_s_signature_is_another_key(image: ExaminedImage, found: Examination) -> None:
    html = write(image, found, KEY)
    other = base64.b64encode(Ed25519PrivateKey.generate().public_key().public_bytes_raw()).decode()
    block = json.loads(html.rpartition(custody._OPEN.decode())[2].partition("</script>")[0])
    swapped = html.replace(canonical(block), canonical(block | {"public_key": other}))
    with pytest.raises(ReportAltered, match="does not bear out"):
        check(swapped.encode())


def test_the_key_is_made_once_and_kept_private(key_file: Path) -> None:
    assert custody.own_key() is None
    first = custody.fingerprint_of(custody.signing_key().public_key())
    assert custody.own_key() == first
    assert key_file.stat().st_mode & 0o077 == 0
    key_file.write_text("no key")
    with pytest.raises(UsageError, match="FORENSIC_CHAT_SIGNING_KEY"):
        custody.signing_key()


def test_the_mask_lies_where_it_is(image: ExaminedImage, found: Examination) -> None:
    with Image.open(io.BytesIO(pictures.layer(found) or b"")) as layer:
        alpha = np.asarray(layer)[..., 3]
    assert alpha[8:40, 4:36].all()
    assert not np.delete(alpha, slice(4, 36), axis=1).any()
    with Image.open(io.BytesIO(pictures.overlay(image, found))) as drawn:
        assert drawn.size == (96, 64)
        assert (np.asarray(drawn)[50:, 60:] == image.pixels[50:, 60:]).all(), "unmarked parts are untouched"
    unmarked = found.model_copy(update={"mask": None, "regions": []})
    assert pictures.layer(unmarked) is None
    with Image.open(io.BytesIO(pictures.mask_png(unmarked))) as mask:
        assert (mask.size, mask.getextrema()) == ((96, 64), (0, 0))
    assert "Nothing is marked" in write(image, unmarked, KEY)


def run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as exit_:
        main([str(argument) for argument in arguments])
    return int(exit_.value.code or 0)


def test_report_and_verify(
    examiner: FakeExaminer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo().save(path := tmp_path / "photo.jpg")
    photo(1).save(other := tmp_path / "other.jpg")
    report = tmp_path / "report.html"
    assert run("report", path, "--out", report) == 0
    fingerprint = capsys.readouterr().out.split()[-1]
    assert run("verify", report, "--image", path, "--key", fingerprint) == 0
    out = capsys.readouterr().out
    assert out.startswith("intact")
    assert "this installation's key" in out
    assert run("verify", report, "--image", other) == 2
    assert "speaks of another file" in capsys.readouterr().err
    assert run("verify", report, "--key", "0" * 64) == 2
    report.write_text(report.read_text("utf-8").replace("70.0%", "10.0%"), "utf-8")
    assert run("verify", report) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 2
    assert "page was changed" in err
    assert run("verify", tmp_path / "missing.html") == 2
    assert run("report", path, "--out", tmp_path / "report.pdf") == 0
    assert run("verify", tmp_path / "report.pdf", "--image", path) == 0
    assert run("report", path, "--out", tmp_path / "no" / "folder.html") == 2


def test_a_table_says_it_all_needs_nothing_else_and_runs_nothing(found: Examination) -> None:
    formula = '=HYPERLINK("x")<b>.png'
    error = BatchError(code="input_rejected", message="notes.txt is not an image, but text")
    rows: list[tuple[str | None, tables.Row]] = [
        (None, BatchExamination(**dict(found), file=formula)),
        (None, BatchFailure(file="notes.txt", error=error, sha256="1" * 64)),
    ]
    html = tables.as_html(rows, "Two files", ["data:image/jpeg;base64,"])
    for expected in ("2 files", "1 tampered, 1 not examined", "80.0%", "is not an image", "16.7%"):
        assert expected in text_of(html)
    assert html.count("<img") == 1
    assert "<b>.png" not in html
    assert not re.findall(r"""(?:src|href)="(?!data:|#)[^"]*|url\(|https?://""", html)
    first, second = csv.DictReader(io.StringIO("".join(tables.as_csv(rows))))
    assert first["file"] == "'" + formula
    assert (second["error"], second["verdict"]) == ("input_rejected", "")
    assert (
        BatchExamination.model_validate(json.loads(tables.as_json(row for _, row in rows))[0]) == rows[0][1]
    )
