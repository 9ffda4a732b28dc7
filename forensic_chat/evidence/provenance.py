"""Content Credentials (C2PA): the signed record of where a file comes from, validated offline.

Absent is never evidence of anything: platforms strip the record, and most cameras write none. A signature
that is valid vouches for what the record says; trusted means that the signer's certificate leads to the
trust list. Validation follows the C2PA specification 2.x, section 15, as the C2PA library implements it;
neither remote manifests nor revocation answers are fetched.
"""

import io
import json
from functools import cache
from importlib.resources import files
from typing import Any

import c2pa

from forensic_chat.errors import UsageError
from forensic_chat.evidence.observation import Observation, fact
from forensic_chat.evidence.quoting import quotable
from forensic_chat.imaging.intake import ExaminedImage
from forensic_chat.schema import Supports
from forensic_chat.settings import settings

_TYPES = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "TIFF": "image/tiff",
    "GIF": "image/gif",
    "AVIF": "image/avif",
}
_MAX_JSON = 4_000_000
_MAX_CHAIN = 16
KIND = "provenance.c2pa"


def trust_anchors() -> str:
    """The trusted certificates (PEM): the file of `FORENSIC_CHAT_TRUST_LIST`, else the bundled C2PA Trust List.

    Raises UsageError when the named file can't be read.
    """
    named = settings().trust_list
    if named is None:
        return (files("forensic_chat.evidence") / "trust_anchors.pem").read_text(encoding="utf-8")
    try:
        return named.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise UsageError(
            f"FORENSIC_CHAT_TRUST_LIST: {named.name} can't be read; name a PEM file of certificates"
        ) from None


@cache
def _context(anchors: str) -> c2pa.Context:
    settings: dict[str, Any] = {
        "version": 1,
        "verify": {"verify_trust": True, "remote_manifest_fetch": False, "ocsp_fetch": False},
        "core": {"allowed_network_hosts": []},
    }
    if "BEGIN CERTIFICATE" in anchors:
        settings["trust"] = {"trust_anchors": anchors}
    return c2pa.Context.from_dict(settings)


def observe(image: ExaminedImage, anchors: str | None = None) -> list[Observation]:
    """One observation, kind `provenance.c2pa`; its value is "trusted", "untrusted", "invalid", "absent" or
    None.

    `anchors` (PEM) replaces the trust list.
    """
    if image.format not in _TYPES or b"jumb" not in image.data or b"c2pa" not in image.data:
        return [_absent(image.data)]
    store, state = None, None
    try:
        with c2pa.Reader(
            _TYPES[image.format],
            io.BytesIO(image.data),
            context=_context(trust_anchors() if anchors is None else anchors),
        ) as reader:
            text, state = reader.json(), reader.get_validation_state()
        store = json.loads(text) if len(text) <= _MAX_JSON else None
    except c2pa.C2paError.ManifestNotFound:
        return [_absent(image.data)]
    except (c2pa.C2paError, ValueError, RecursionError):
        pass  # what the library says of a damaged record is of no use to a reader
    if not isinstance(store, dict):
        return [
            fact(KIND, "The file holds Content Credentials, but this provenance could not be read.", None)
        ]
    return [_verdict(store, str(state or ""))]


def _absent(data: bytes) -> Observation:
    # The record may be kept on a server that the XMP packet names.
    more = (
        " (it points to a record kept elsewhere, which is not fetched)"
        if b"dcterms:provenance" in data
        else ""
    )
    sentence = f"Content Credentials are absent{more}, as in most files; that says nothing either way."
    return fact(KIND, sentence, "absent", strength=0.0)


def _verdict(store: dict[str, Any], state: str) -> Observation:
    manifest = _manifest(store, store.get("active_manifest"))
    signer = _text(manifest.get("signature_info"), "issuer") or "an unnamed signer"
    if state not in ("Valid", "Trusted"):
        return fact(
            KIND,
            f'The Content Credentials signed by "{signer}" are invalid: the file or the record was changed '
            "after signing, which a plain re-save does too.",
            "invalid",
        )
    trust = "trusted" if state == "Trusted" else "untrusted"
    how = "valid and trusted" if state == "Trusted" else "valid but untrusted"
    known = "on the trust list" if state == "Trusted" else "not on the trust list"
    says, supports, strength = _reading(_source_type(store, manifest), state == "Trusted")
    sentence = f'The Content Credentials are {how} (signed by "{signer}", {known}){says}.'
    return fact(KIND, sentence, trust, supports, strength)


def _reading(source: str, trusted: bool) -> tuple[str, Supports, float]:
    """What a validly signed digital source type means: words, what it supports, strength."""
    match source:
        case "trainedAlgorithmicMedia":
            return " and declare an image made by a generator", "synthetic", 0.98 if trusted else 0.9
        case "compositeWithTrainedAlgorithmicMedia" | "compositeSynthetic":
            return (
                " and declare an image with parts made by a generator",
                "tampered",
                0.95 if trusted else 0.85,
            )
        case "digitalCapture" | "computationalCapture":
            says = " and declare a camera's capture"
            return (says, "real", 0.9) if trusted else (says + ", which anyone could sign so", "neutral", 0.1)
    return "", "neutral", 0.1


def _manifest(store: dict[str, Any], label: object) -> dict[str, Any]:
    manifests = store.get("manifests")
    found = manifests.get(label) if isinstance(manifests, dict) and isinstance(label, str) else None
    return found if isinstance(found, dict) else {}


def _text(holder: object, key: str) -> str:
    value = holder.get(key) if isinstance(holder, dict) else None
    return quotable(value) if isinstance(value, str) else ""


def _source_type(store: dict[str, Any], manifest: dict[str, Any]) -> str:
    """The digital source type of the file's creation: of its own actions, or of the file it was made from.

    Of several, the one that involves a generator counts.
    """
    found: list[str] = []
    for _ in range(_MAX_CHAIN):
        found += _declared(manifest)
        parents = [
            item
            for item in manifest.get("ingredients") or []
            if isinstance(item, dict) and item.get("relationship") == "parentOf"
        ]
        manifest = _manifest(store, parents[0].get("active_manifest")) if parents else {}
        if not manifest:
            break
    for wanted in ("trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia", "compositeSynthetic"):
        if wanted in found:
            return wanted
    return found[0] if found else ""


def _declared(manifest: dict[str, Any]) -> list[str]:
    types = []
    for assertion in manifest.get("assertions") or []:
        data = assertion.get("data") if isinstance(assertion, dict) else None
        if not isinstance(data, dict) or not str(assertion.get("label", "")).startswith("c2pa.actions"):
            continue
        actions = data.get("actions")
        for action in actions if isinstance(actions, list) else []:
            source = action.get("digitalSourceType") if isinstance(action, dict) else None
            if isinstance(source, str):
                types.append(source.rsplit("/", 1)[-1])
    return types
