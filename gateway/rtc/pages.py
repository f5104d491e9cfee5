"""The pages that the gateway serves: read once from a folder, sent with what browsers must know of them."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Final

from gateway.rtc.origins import Origins

__all__ = ["Page", "Pages"]

_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".mp3": "audio/mpeg",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".wav": "audio/wav",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
_LARGEST: Final = 4 * 1024 * 1024
"""Bytes of one file; all of them are kept in memory."""


@dataclass(frozen=True, slots=True)
class Page:
    """A file as it is sent."""

    body: bytes
    content_type: str
    etag: str


class Pages:
    """Owns the files. What is not in the folder at the start is not there: no path can lead out of it."""

    def __init__(self, folder: Path | None, origins: Origins) -> None:
        """Reads the folder, and blocks for that: for the start. None: there are no pages."""
        self._origins = origins
        self._pages: dict[str, Page] = {}
        if folder is not None and folder.is_dir():
            for path in sorted(folder.rglob("*")):
                self._add(folder, path)

    def _add(self, folder: Path, path: Path) -> None:
        name = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in name.parts)
        if hidden or path.suffix not in _TYPES or not path.is_file() or path.stat().st_size > _LARGEST:
            return
        self.add(f"/{name.as_posix()}", path.read_bytes(), _TYPES[path.suffix])

    def add(self, path: str, body: bytes, content_type: str) -> None:
        """A page that is no file."""
        page = Page(body, content_type, f'"{blake2b(body, digest_size=12).hexdigest()}"')
        self._pages[path] = page
        if path.endswith(".html"):
            self._pages[path.removesuffix(".html")] = page
        if path.endswith("/index.html"):
            self._pages[path.removesuffix("index.html")] = page

    def find(self, path: str) -> Page | None:
        """``/`` is index.html, ``/softphone`` is softphone.html."""
        return self._pages.get(path)

    @property
    def paths(self) -> list[str]:
        return list(self._pages)

    def headers(self, page: Page, origin: str | None) -> dict[str, str]:
        """What goes with a page. ``origin``: of the page that asks for it, if it says so."""
        headers = {
            "Content-Type": page.content_type,
            # Asked for anew each time, which costs a 304: a page and the library it uses must be of one version.
            "Cache-Control": "no-cache",
            "ETag": page.etag,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Vary": "Origin",
        }
        if page.content_type.startswith("text/html"):
            ancestors = " ".join(("'self'", *self._origins.allowed))
            headers["Content-Security-Policy"] = (
                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
                "connect-src 'self' ws: wss:; media-src 'self' blob: mediastream:; manifest-src 'self'; "
                f"base-uri 'none'; form-action 'self'; frame-ancestors {ancestors}"
            )
            frames = " ".join(("self", *(f'"{allowed}"' for allowed in self._origins.allowed)))
            headers["Permissions-Policy"] = f"microphone=({frames}), camera=(), geolocation=()"
        if origin is not None and self._origins.is_named(origin):
            # So that pages of the site's origins can import the client library.
            headers["Access-Control-Allow-Origin"] = origin
        return headers
