"""XMP: property names and values of a packet (ISO 16684-1), flat. Never raises, expands no entities."""

from collections.abc import Iterator
from contextlib import suppress
from typing import cast
from xml.etree import ElementTree

_MAX_VALUES = 2000


def read_xmp(packet: bytes) -> dict[str, str]:
    """Local property name -> its first value; list items count as values of their property."""
    # Entities are the one way an XML text grows while it is read; XMP has no use for a document type.
    if not packet or b"<!DOCTYPE" in packet or b"<!ENTITY" in packet:
        return {}
    parser: ElementTree.XMLPullParser[ElementTree.Element] = ElementTree.XMLPullParser(("start", "end"))
    fields: dict[str, str] = {}
    with suppress(ElementTree.ParseError, LookupError, ValueError):  # damaged: what came before counts
        parser.feed(packet.strip(b"\0 \r\n\t"))
    path: list[str] = []
    with suppress(ElementTree.ParseError):
        for event, element in cast("Iterator[tuple[str, object]]", parser.read_events()):
            if not isinstance(element, ElementTree.Element) or len(fields) > _MAX_VALUES:
                continue
            if event == "start":
                path.append(_local(element.tag))
                for name, value in element.attrib.items():
                    _keep(fields, [_local(name)], value)
            else:
                _keep(fields, path, element.text or "")
                path.pop()
    return fields


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _keep(fields: dict[str, str], path: list[str], text: str) -> None:
    names = [name for name in path if name not in ("li", "Seq", "Bag", "Alt", "Description", "value")]
    if names and text.strip():
        fields.setdefault(names[-1], text.strip())
