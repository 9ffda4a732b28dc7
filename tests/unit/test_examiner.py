"""The use-case layer, with an encoder that sees one spot and a scripted language model."""

import io
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from forensic_chat.errors import (
    BackendUnavailable,
    Cancelled,
    DeadlineExceeded,
    InputRejected,
)
from forensic_chat.examiner import Examiner
from forensic_chat.mllm.backends.base import too_late
from forensic_chat.mllm.backends.scripted import ScriptedBackend
from forensic_chat.mllm.verify import passed
from tests.factories import SpotEncoder, calibration
from tests.images import grainy, photo
from tests.unit.speaking import BOX, GivesUp, Says, SaysInTurn, check_contract, examiner, forged, saying

__all__ = ["examiner", "forged"]


class TestExamine:
    def test_a_path_bytes_and_an_open_image(self, examiner: Examiner, forged: Path) -> None:
        with Image.open(forged) as opened:
            sources: list[Any] = [str(forged), forged, forged.read_bytes(), opened]
            for source in sources:
                examination = examiner.examine(source)
                check_contract(examination)
                assert examination.verdict.label == "tampered"
                assert examination.regions[0].box == BOX
                assert (examination.image.width, examination.image.height) == (96, 64)
                assert examination.image.name == ("forged.png" if source in sources[:2] else "image")

    def test_a_photo_is_real_and_says_so(self, examiner: Examiner) -> None:
        examination = examiner.examine(photo(), name="holiday.jpg")
        check_contract(examination)
        assert (examination.verdict.label, examination.image.name) == ("real", "holiday.jpg")
        assert examination.rationale is not None
        assert all(claim.verified is not False for claim in examination.rationale.claims)

    @pytest.mark.parametrize("image", [photo(), grainy(BOX), photo(0, 16, 16), photo(1, 300, 20)])
    def test_without_a_rationale_all_else_is_the_same(self, examiner: Examiner, image: Image.Image) -> None:
        told, bare = examiner.examine(image), examiner.examine(image, rationale=False)
        check_contract(bare)
        assert bare.rationale is None
        assert told.rationale is not None
        same = ("image", "verdict", "regions", "mask", "findings")
        for name in same:
            assert getattr(bare, name) == getattr(told, name)
        assert bare.timings.keys() < told.timings.keys()

    def test_without_a_rationale_no_language_model_is_touched(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Examiner, "_seeing", (SpotEncoder(), calibration()))
        monkeypatch.setattr(Examiner, "models", {"encoder": "spot"})
        monkeypatch.setattr(Examiner, "backend", property(lambda self: pytest.fail("was loaded")))
        Examiner().examine(photo(), rationale=False)

    def test_models_are_those_that_took_part(self, examiner: Examiner) -> None:
        told, bare = examiner.examine(photo()), examiner.examine(photo(), rationale=False)
        assert told.models == examiner.models | examiner.backend.models
        assert bare.models == examiner.models

    def test_the_same_image_gets_the_same_answer(self, examiner: Examiner, forged: Path) -> None:
        one, two = (examiner.examine(forged).model_dump(exclude={"timings"}) for _ in range(2))
        assert one == two

    def test_what_is_no_image_is_rejected(self, examiner: Examiner, tmp_path: Path) -> None:
        for source in (b"", b"no image", tmp_path, tmp_path / "missing.jpg"):
            with pytest.raises(InputRejected):
                examiner.examine(source)

    @pytest.mark.parametrize(
        "answer",
        [
            "I think that this picture is fine.",
            "- The local-change score is 0.98 [E2]",  # a single claim
            "",
            "lorem [E1",
        ],
    )
    def test_an_answer_that_is_no_claims_is_replaced_by_code(self, examiner: Examiner, answer: str) -> None:
        examination = saying(examiner, Says(answer)).examine(grainy(BOX))
        check_contract(examination)
        assert examination.rationale is not None
        assert all(claim.verified is not False for claim in examination.rationale.claims)
        (warning,) = (w for w in examination.warnings if "written by code" in w)
        assert "ask again" not in warning

    def test_a_claim_that_does_not_hold_is_left_out_and_warned_of(self, examiner: Examiner) -> None:
        answer = "- The local-change score is 0.11 [E2]\n- The mask shows an edited area [E99]"
        examination = saying(examiner, Says(answer)).examine(grainy(BOX))
        check_contract(examination)
        assert examination.rationale is not None
        assert all(passed(claim) for claim in examination.rationale.claims)
        assert "0.11" not in examination.rationale.text
        assert any("4 of the language model's 4 claims" in warning for warning in examination.warnings)

    def test_for_a_claim_that_does_not_hold_the_model_is_asked_once_for_another(
        self, examiner: Examiner
    ) -> None:
        bare = examiner.examine(grainy(BOX), rationale=False)
        kinds = {finding.kind: finding.id for finding in bare.findings}
        dates, camera = kinds["metadata.dates"], kinds["metadata.camera"]
        good, bad = f"No date was found in the metadata [{dates}]", "The local-change score is 0.11 [E2]"
        other = f"- No camera name was found [{camera}]"
        backend = SaysInTurn(f"- {good}\n- {bad}", other, "never said")
        told = saying(examiner, backend).examine(grainy(BOX)).rationale
        assert told is not None
        begun, pattern = backend.heard[1]
        assert begun.endswith(f"\n- {good}\n")
        assert re.fullmatch(pattern, other)
        assert not re.fullmatch(pattern, f"- {good}")
        assert not re.fullmatch(pattern, "- The local-change score is 0.98 [E2]")
        assert len(backend.heard) == 2
        assert {"No camera name was found", "No date was found in the metadata"} <= {
            c.text for c in told.claims
        }

    def test_a_rationale_names_the_strongest_finding_whatever_the_model_tells(
        self, examiner: Examiner
    ) -> None:
        bare = examiner.examine(grainy(BOX), rationale=False)
        strongest = max((f for f in bare.findings if f.supports == "tampered"), key=lambda f: f.strength)
        dates = next(f for f in bare.findings if f.kind == "metadata.dates")
        camera = next(f for f in bare.findings if f.kind == "metadata.camera")
        answer = f"- No date was found in the metadata [{dates.id}]\n- No camera name was found [{camera.id}]"
        examination = saying(examiner, Says(answer)).examine(grainy(BOX))
        assert examination.rationale is not None
        assert strongest.id in examination.rationale.claims[0].findings
        assert {dates.id, camera.id} <= {name for c in examination.rationale.claims for name in c.findings}
        assert examination.warnings == bare.warnings

    def test_what_leaves_a_verdict_open_is_said_whatever_the_model_tells(
        self, examiner: Examiner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Examiner, "_seeing", (SpotEncoder(), calibration(unfamiliar_below=0.9)))
        bare = examiner.examine(photo(), rationale=False)
        assert bare.verdict.label == "inconclusive"
        kinds = {finding.kind: finding.id for finding in bare.findings}
        dates, camera, unfamiliar = (
            kinds[kind] for kind in ("metadata.dates", "metadata.camera", "encoder.familiarity")
        )
        answer = f"- No date was found in the metadata [{dates}]\n- No camera name was found [{camera}]"
        examination = saying(examiner, Says(answer)).examine(photo())
        assert examination.rationale is not None
        about = [claim for claim in examination.rationale.claims if claim.findings == [unfamiliar]]
        assert [claim.verified for claim in about] == [True]
        assert examination.rationale.claims[0] in about
        own = f"- The encoder knows few images like this (familiarity 0.5 of 1) [{unfamiliar}]\n{answer}"
        told = saying(examiner, Says(own)).examine(photo()).rationale
        assert told is not None
        assert sum(unfamiliar in claim.findings for claim in told.claims) == 1

    def test_what_tells_most_leads_also_where_nothing_accuses(self, examiner: Examiner) -> None:
        bare = examiner.examine(photo(), rationale=False)
        score = next(f for f in bare.findings if f.kind == "encoder.synthetic")
        camera, dates = (f.id for f in bare.findings if f.kind in ("metadata.camera", "metadata.dates"))
        about = f"The whole-image score is {score.value} of 1, which is low [{score.id}]"
        answer = (
            f"- No camera name was found [{camera}]\n- {{}}\n- No date was found in the metadata [{dates}]"
        )

        def first(claim: str) -> list[str]:
            told = saying(examiner, Says(answer.format(claim))).examine(photo()).rationale
            assert told is not None
            assert [c.findings for c in told.claims if c.findings in ([camera], [dates])] == [
                [camera],
                [dates],
            ]
            return told.claims[0].findings

        assert first(about) == [score.id]
        assert first(f"Still, {about[0].lower()}{about[1:]}") != [score.id]

    def test_what_is_not_there_is_not_given_as_an_amount(self, examiner: Examiner) -> None:
        bare = examiner.examine(photo(), rationale=False)
        mask, again = (f for f in bare.findings if f.kind in ("encoder.mask", "encoder.stability"))
        answer = (
            f"- The mask marks 0% of the image, which is ordinary [{mask.id}]\n"
            f"- At {again.value}, stability under re-delivery is ordinary [{again.id}]"
        )
        told = saying(examiner, Says(answer)).examine(photo())
        assert told.rationale is not None
        assert told.warnings == bare.warnings  # nothing failed
        on_mask, on_delivery = (
            next(c for c in told.rationale.claims if c.findings == [f.id]) for f in (mask, again)
        )
        assert "0%" not in on_mask.text
        assert not on_delivery.text.startswith("At")
        assert on_mask.verified
        assert on_delivery.verified
        assert not told.rationale.text.rstrip().endswith(".")

    def test_a_short_rationale_is_filled_with_what_is_special(self, examiner: Examiner) -> None:
        bare = examiner.examine(photo(), rationale=False)
        camera, dates = (f.id for f in bare.findings if f.kind in ("metadata.camera", "metadata.dates"))
        answer = (
            f"- No camera name was found in the metadata [{camera}]\n"
            f"- No dates are recorded in the metadata [{dates}]"
        )
        told = saying(examiner, Says(answer)).examine(photo())
        assert told.rationale is not None
        assert len(told.rationale.claims) >= 4
        assert len({tuple(c.findings) for c in told.rationale.claims}) == len(told.rationale.claims)

    def test_a_region_is_a_reason_only_where_masking_it_shows_that(self, examiner: Examiner) -> None:
        claim = (
            "- At {v}, the encoder sees a part that was edited [E2][R1]\n- {m}% of the image is marked [E3]"
        )
        bare = examiner.examine(grainy(BOX), rationale=False)
        answer = claim.format(v=bare.findings[1].value, m=bare.findings[2].value)
        examination = saying(examiner, Says(answer)).examine(grainy(BOX))
        assert examination.rationale is not None
        first = examination.rationale.claims[0]
        assert (first.verified, first.region) == (True, "R1")
        assert "masking R1 lowers the verdict more than 100 % of random boxes" in first.check


class TestStopping:
    def test_a_cancelled_examination_stops(self, examiner: Examiner) -> None:
        cancel = threading.Event()
        cancel.set()
        for call in (examiner.examine, examiner.open):
            with pytest.raises(Cancelled, match="examination was cancelled"):
                call(photo(), cancel=cancel)
        check_contract(examiner.examine(photo()))

    def test_a_deadline_that_has_passed_stops_it(self, examiner: Examiner) -> None:
        for call in (examiner.examine, examiner.open):
            with pytest.raises(DeadlineExceeded, match="within 0 s"):
                call(photo(), deadline=0)

    def test_a_deadline_that_passes_while_writing_is_quoted_as_given(
        self, examiner: Examiner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock = [100.0]
        monkeypatch.setattr("forensic_chat.stopping.time.monotonic", lambda: clock[0])

        class Slow(ScriptedBackend):
            def generate(self, *args: Any, deadline: float | None = None, **options: Any) -> Iterator[str]:
                yield "The"
                assert deadline is not None
                clock[0] += 30
                raise too_late(deadline)

        clock[0] += 1
        with pytest.raises(DeadlineExceeded, match="the examination was not finished within 20 s"):
            saying(examiner, Slow()).examine(photo(), deadline=20)

    def test_nobody_waits_for_another_thread_beyond_the_deadline(self, examiner: Examiner) -> None:
        dialogue = examiner.open(photo())
        writing = iter(dialogue.ask("Why?"))
        next(writing)  # the examiner is busy now
        with pytest.raises(DeadlineExceeded):
            examiner.examine(photo(), deadline=0.1)
        writing.close()  # type: ignore[attr-defined]
        check_contract(examiner.examine(photo(), deadline=60))

    def test_many_threads_are_served_one_after_another(self, examiner: Examiner) -> None:
        images = [photo(), grainy(BOX)] * 3
        labels: list[str] = [""] * len(images)

        def work(k: int) -> None:
            labels[k] = examiner.examine(images[k]).verdict.label

        threads = [threading.Thread(target=work, args=(k,)) for k in range(len(images))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert labels == ["real", "tampered"] * 3

    def test_an_error_of_the_backend_leaves_the_examiner_usable(self, examiner: Examiner) -> None:
        broken = saying(examiner, GivesUp(BackendUnavailable("the model failed; free some memory")))
        with pytest.raises(BackendUnavailable):
            broken.examine(photo())
        check_contract(broken.examine(photo(), rationale=False))


def test_a_jpeg_turned_by_its_exif_is_examined_as_shown(examiner: Examiner) -> None:
    data, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6
    photo(0, 64, 96).save(data, "JPEG", exif=exif)
    examination = examiner.examine(data.getvalue())
    assert (examination.image.width, examination.image.height) == (96, 64)
