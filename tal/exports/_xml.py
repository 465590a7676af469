"""XML written and read: only what XML 1.0 allows, and no entities from outside."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

from tal.parsing import Place, read_text

_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def legal(text: str) -> str:
    """Return text without the characters that XML 1.0 forbids (section 2.2)."""
    return _FORBIDDEN.sub("\ufffd", text)


def text_of(root: ET.Element) -> str:
    """Return a document with its declaration, indented."""
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def add(parent: ET.Element, tag: str, text: str = "", **attributes: str) -> ET.Element:
    """Add an element; text and values lose what XML forbids."""
    made = ET.SubElement(parent, tag, {name: legal(value) for name, value in attributes.items()})
    made.text = legal(text) or None
    return made


def parse(path: Path, root: str) -> ET.Element:
    """Read a file of a stranger.

    Raises:
        AnnotationError: If it is not XML, has a document type (which could make it explode), or another root.
    """
    text = read_text(path)
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise Place(path).error("it has a document type, which is not read here", "take it out")
    try:
        found = ET.fromstring(text)  # noqa: S314 - entities need the document type that was refused
    except ET.ParseError as error:
        line = error.position[0]
        raise Place(path, f"line {line}").error(f"not XML ({error.msg.split(':')[0]})", "correct the syntax") from error
    if found.tag != root:
        raise Place(path).error(f"<{found.tag}> where <{root}> was expected", "check which format it is: --from")
    return found
