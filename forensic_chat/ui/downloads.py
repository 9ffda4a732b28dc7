"""Files of what was examined, under addresses that only the browser it was examined for can read."""

from fastapi import APIRouter, HTTPException, Request, Response

from forensic_chat.errors import UsageError
from forensic_chat.imaging.intake import ExaminedImage, take_in
from forensic_chat.report import pictures, tables
from forensic_chat.report.custody import write, write_pdf
from forensic_chat.schema import Box, Examination
from forensic_chat.ui.memory import Held, Memory, owner


def routes(memory: Memory) -> APIRouter:
    """`/tab/KEY/…` of an image, `/batch/KEY/…` of a batch; 404 for what isn't there or is another's."""
    router = APIRouter()

    def examined(key: str, request: Request) -> tuple[Held, Examination]:
        held = memory.image(key, owner(request))
        if held is None or held.dialogue is None:
            raise HTTPException(404, "This image is no longer in memory; drop it again.")
        return held, held.dialogue.examination

    def lines(key: str, request: Request) -> list[tables.Line]:
        if found := memory.batch(key, owner(request)):
            return list(found)
        raise HTTPException(404, "This batch is no longer in memory; run it again.")

    @router.get("/tab/{key}/examination.json")
    def examination(key: str, request: Request) -> Response:
        _, found = examined(key, request)
        return _download(found.model_dump_json(indent=2), "examination.json", "application/json")

    @router.get("/tab/{key}/report.html")
    def report(key: str, request: Request) -> Response:
        held, found = examined(key, request)
        return _download(write(_image(held), found), "report.html", "text/html")

    @router.get("/tab/{key}/report.pdf")
    def printed(key: str, request: Request) -> Response:
        held, found = examined(key, request)
        try:
            return _download(write_pdf(_image(held), found), "report.pdf", "application/pdf")
        except UsageError as error:
            raise HTTPException(501, str(error)) from None

    @router.get("/tab/{key}/native/{region}.png")
    def native(key: str, region: str, request: Request) -> Response:
        held, found = examined(key, request)
        return _picture(pictures.native(_image(held), _box(found, region)))

    @router.get("/tab/{key}/mask/{region}.png")
    def mask(key: str, region: str, request: Request) -> Response:
        held, found = examined(key, request)
        return _picture(pictures.native_layer(_image(held), found, _box(found, region)))

    @router.get("/batch/{key}/results.json")
    def results_json(key: str, request: Request) -> Response:
        rows = [line.row for line in lines(key, request)]
        return _download(tables.as_json(rows), "results.json", "application/json")

    @router.get("/batch/{key}/results.csv")
    def results_csv(key: str, request: Request) -> Response:
        rows = [(None, line.row) for line in lines(key, request)]
        return _download("".join(tables.as_csv(rows)), "results.csv", "text/csv")

    @router.get("/batch/{key}/results.html")
    def results_html(key: str, request: Request) -> Response:
        found = lines(key, request)
        rows, small = [(None, line.row) for line in found], [line.picture for line in found]
        page = tables.as_html(rows, f"Examination of {len(found)} files", small)
        return _download(page, "results.html", "text/html")

    return router


def _image(held: Held) -> ExaminedImage:
    return take_in(held.data, name=held.name)


def _box(examination: Examination, name: str) -> Box:
    found = (region.box for region in examination.regions if region.id == name)
    if box := next(found, None):
        return box
    raise HTTPException(404, "There is no such region.")


def _download(content: str | bytes, name: str, kind: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(content, media_type=kind, headers=headers)


def _picture(data: bytes) -> Response:
    return Response(data, media_type="image/png", headers={"Cache-Control": "no-store"})
