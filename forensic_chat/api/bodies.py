"""What requests carry: one image, or many, and what is to be done with them."""

from base64 import b64decode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated, Any, TypeVar

from fastapi import HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.datastructures import FormData, UploadFile

from forensic_chat.batch import SUFFIXES
from forensic_chat.errors import InputRejected
from forensic_chat.imaging.archive import looks_packed, safe_path, unpack
from forensic_chat.imaging.sniff import examined_format
from forensic_chat.settings import Settings

Kind = TypeVar("Kind", bound=BaseModel)
Body = TypeVar("Body")
_WEEK = 604_800


class Options(BaseModel):
    model_config = ConfigDict(extra="forbid")
    rationale: bool = True
    """Whether claims are written by the language model and checked; verdict and findings are the same."""
    deadline: Annotated[float | None, Field(ge=1, le=_WEEK)] = None
    """Seconds after which what is not done is given up."""


class ImageAsJson(Options):
    image: Annotated[str, Field(json_schema_extra={"contentEncoding": "base64"})]
    """The file in base64."""
    name: str = "image"


@dataclass(frozen=True)
class Given:
    """One image, and what is wanted."""

    data: bytes
    name: str
    options: Options


def _form(field: str, schema: dict[str, Any]) -> dict[str, Any]:
    properties = Options.model_json_schema()["properties"] | {field: schema}
    return {"schema": {"type": "object", "required": [field], "properties": properties}}


_BINARY = {"type": "string", "format": "binary"}
ONE_IMAGE = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": _form("image", _BINARY),
            "application/json": {"schema": ImageAsJson.model_json_schema()},
        },
    }
}
MANY_IMAGES = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": _form("files", {"type": "array", "items": _BINARY, "minItems": 1})
        },
    }
}
"""For the routes' documentation: bodies that FastAPI does not read itself."""


async def one_image(request: Request) -> Given:
    """Raises HTTPException."""
    kind = _kind(request)
    if kind == "application/json":
        given = _valid(lambda body: ImageAsJson.model_validate_json(body), await request.body())
        try:
            return Given(b64decode(given.image, validate=True), given.name, given)
        except ValueError:
            raise HTTPException(422, "image: not base64; encode the file's bytes") from None
    if kind == "multipart/form-data":
        async with request.form(max_files=1, max_fields=4) as form:
            image = form.get("image")
            if not isinstance(image, UploadFile):
                raise HTTPException(422, "image: give the file as the form's field `image`")
            return Given(await image.read(), image.filename or "image", options(form, "image"))
    raise HTTPException(415, "send the image as multipart/form-data, or as JSON in base64")


def only_forms(request: Request) -> None:
    """Raises HTTPException for a body that is no form."""
    if _kind(request) != "multipart/form-data":
        raise HTTPException(
            415, "send images and zip archives as multipart/form-data, in fields named `files`"
        )


def options(form: FormData, files: str) -> Options:
    """The fields of a form that are not `files`. Raises HTTPException."""
    return _valid(Options.model_validate, {name: form[name] for name in form if name != files})


def many_images(
    form: FormData, limits: Settings, count: Callable[[], None]
) -> Iterator[tuple[str, bytes | InputRejected]]:
    """The images among the form's `files`, those in zip archives too, by their paths; what can't be had comes
    as its refusal. Other files in archives are passed over.

    count: called for each image, and may raise. Raises InputRejected for an archive, or a number of files, that
    is not taken, HTTPException where there are no files.
    """
    uploads = [upload for upload in form.getlist("files") if isinstance(upload, UploadFile)]
    if not uploads:
        raise HTTPException(
            422, "files: give images, or zip archives of images, as the form's fields `files`"
        )
    for number, image in enumerate(_unpacked(uploads, limits)):
        if number == limits.max_batch_files:
            raise InputRejected(f"at most {limits.max_batch_files} files are taken at a time; send less")
        count()
        yield image


def _unpacked(uploads: list[UploadFile], limits: Settings) -> Iterator[tuple[str, bytes | InputRejected]]:
    for upload in uploads:
        name, file = safe_path(upload.filename or "image"), upload.file
        head = file.read(64)
        file.seek(0)
        if looks_packed(head):
            for path, data in unpack(file, name, limits):
                if not isinstance(data, bytes) or _is_image(path, data):
                    yield path, data
        elif (upload.size or 0) > limits.max_file_bytes:
            megabytes = limits.max_file_bytes / 1e6
            yield name, InputRejected(f"{name} is larger than {megabytes:g} MB; save a smaller copy")
        else:
            yield name, file.read()


def _is_image(path: str, data: bytes) -> bool:
    return PurePosixPath(path).suffix.lower() in SUFFIXES or examined_format(data[:64]) is not None


def _kind(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _valid(model: Callable[[Body], Kind], body: Body) -> Kind:
    try:
        return model(body)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the body"
        raise HTTPException(422, f"{where}: {first['msg']}") from None
