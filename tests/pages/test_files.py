"""The files of the pages: nothing inline, nothing from elsewhere, colours that can be read, types that fit."""

from __future__ import annotations

import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.peers.process import require

PAGES = Path(__file__).parents[2] / "gateway" / "pages"
_SVG = "{http://www.w3.org/2000/svg}"


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: dict[str, str] = {}
        self._last = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        self._last = tag

    def handle_endtag(self, tag: str) -> None:
        self._last = ""

    def handle_data(self, data: str) -> None:
        self.texts[self._last] = self.texts.get(self._last, "") + data.strip()


def _tags(path: Path) -> _Tags:
    parser = _Tags()
    parser.feed(path.read_text())
    return parser


@pytest.mark.parametrize("path", sorted(PAGES.glob("*.html")), ids=lambda path: path.name)
def test_pages_keep_to_their_policy(path: Path) -> None:
    found = _tags(path)
    assert not found.texts.get("script")
    assert "style" not in found.texts
    for tag, attributes in found.tags:
        inline = [name for name in attributes if name == "style" or name.startswith("on")]
        assert not inline, f"<{tag}> has {inline}"
        for name in ("src", "href"):
            assert "//" not in attributes.get(name, ""), f"<{tag}> loads {attributes[name]}"
            file = attributes.get(name, "").partition("#")[0]
            assert not file or (PAGES / file).is_file(), f"{file} is missing"


@pytest.mark.parametrize("path", sorted(PAGES.glob("*.html")), ids=lambda path: path.name)
def test_every_field_has_a_name_and_every_id_is_one(path: Path) -> None:
    tags = _tags(path).tags
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    labels = {attributes["for"] for tag, attributes in tags if tag == "label"}
    fields = {attributes["id"] for tag, attributes in tags if tag in ("input", "select")}
    assert labels == fields
    for name in ("aria-labelledby", "aria-controls"):
        assert {attributes[name] for _, attributes in tags if name in attributes} <= set(ids)
    assert next(attributes for tag, attributes in tags if tag == "html")["lang"] == "en"


def test_scripts_ask_for_elements_that_are_there() -> None:
    for script, page in (
        ("softphone.js", "softphone.html"),
        ("sound-settings.js", "softphone.html"),
        ("call.js", "call.html"),
    ):
        asked = set(re.findall(r"byId\('([a-z-]+)'\)", (PAGES / script).read_text()))
        there = {attributes["id"] for _, attributes in _tags(PAGES / page).tags if "id" in attributes}
        assert asked <= there, f"{script}: {asked - there}"


def test_icons_that_are_used_are_there() -> None:
    symbols = {str(symbol.get("id")) for symbol in ElementTree.parse(PAGES / "icons.svg").iter(f"{_SVG}symbol")}
    assert all(name.startswith("icon-") for name in symbols), "ids of icons and of elements are in one page"
    text = "".join(path.read_text() for path in (*PAGES.glob("*.js"), *PAGES.glob("*.html")))
    assert set(re.findall(r"icons\.svg#([a-z-]+)", text)) <= symbols
    for name in symbols:
        assert f"'{name.removeprefix('icon-')}'" in text or f"#{name}" in text, f"{name} is not used"


def test_nothing_comes_from_elsewhere() -> None:
    for path in (*PAGES.glob("*.js"), *PAGES.glob("*.css")):
        text = re.sub(r"https?://(www\.w3\.org/|\.)|pages opened with https://|'(http|ws)s?:'", "", path.read_text())
        assert not re.search(r"https?://|@import|url\(", text), path.name


# Contrast (WCAG 2.2, 1.4.3 and 1.4.11) ---------------------------------------------------------------------

_TEXT = [
    ("text", "ground"),
    ("text", "panel"),
    ("text", "sunken"),
    ("quiet", "ground"),
    ("quiet", "panel"),
    ("quiet", "sunken"),
    ("accent", "accent-soft"),
    ("on-colour", "go"),
    ("on-colour", "go-strong"),
    ("on-colour", "stop"),
    ("on-colour", "stop-strong"),
    ("stop-text", "panel"),
    ("warn-text", "warn-ground"),
    ("error-text", "error-ground"),
]
_EDGES = [("line-strong", "panel"), ("accent", "panel"), ("accent", "ground"), ("go", "panel"), ("stop", "panel")]


def _colours(scheme: str) -> dict[str, str]:
    text = (PAGES / "pages.css").read_text()
    blocks = re.findall(r":root \{(.*?)\}", text, re.DOTALL)
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", blocks[0]))
    if scheme == "dark":
        colours |= dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", blocks[1]))
    return colours


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_edges_can_be_seen(scheme: str) -> None:
    colours = _colours(scheme)
    weak = [
        (front, back, round(_contrast(colours[front], colours[back]), 2))
        for pairs, least in ((_TEXT, 4.5), (_EDGES, 3.0))
        for front, back in pairs
        if _contrast(colours[front], colours[back]) < least
    ]
    assert not weak


# Types ---------------------------------------------------------------------------------------------------


@pytest.mark.peer
def test_types_fit() -> None:
    tsc = require("tsc", package="node-typescript")
    options = ["--noEmit", "--allowJs", "--checkJs", "--strict", "--noUnusedLocals"]
    target = ["--target", "es2022", "--module", "esnext", "--lib", "es2022,dom,dom.iterable"]
    files = [str(path) for path in sorted(PAGES.glob("*.js"))]
    checked = subprocess.run([tsc, *options, *target, *files], capture_output=True, text=True, timeout=100)
    assert checked.returncode == 0, checked.stdout
