"""Click to call, as a caller without an account uses it, alone and in a frame of another site."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, FrameLocator, Page, expect

from gateway.call import CallEnded, CallerLeft
from tests.pages.stand import Stand
from tests.peers.patience import until

pytestmark = [pytest.mark.peer, pytest.mark.timeout(180)]

Open = Callable[..., BrowserContext]


def _presses(page: Page | FrameLocator, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def test_a_guest_calls_presses_keys_and_is_hung_up_on(stand: Stand, open_context: Open) -> None:
    page = open_context().new_page()
    page.goto(f"{stand.url}/call?to=1005&name=Front%20desk")
    expect(page.get_by_role("heading", name="Front desk")).to_be_visible()
    expect(page).to_have_title("Call Front desk")
    _presses(page, "Call")
    expect(page.get_by_role("status")).to_have_text("Connected")
    owned = stand.takes()
    assert owned.call.did == "1005"
    assert owned.call.caller.startswith("guest-")
    _presses(page, "Keypad")
    keys = page.get_by_role("group", name="Keys for the other side")
    keys.get_by_role("button", name="5").click()
    _presses(page, "Mute")
    expect(page.get_by_role("status")).to_have_text("Connected, you are muted")
    keys.get_by_role("button", name="hash").click()
    expect(page.get_by_role("status")).to_contain_text("The other side hung up, after 0:")
    assert stand.keys == ["5", "#"]
    expect(page.get_by_role("button", name="Call again")).to_be_visible()
    expect(keys).to_be_hidden()


def test_a_guest_hangs_up_and_calls_again(stand: Stand, open_context: Open) -> None:
    page = open_context().new_page()
    page.goto(f"{stand.url}/call?to=1000")
    _presses(page, "Call")
    _presses(page, "Hang up")
    expect(page.get_by_role("status")).to_contain_text("Call ended")
    stand.takes(1).hears(CallEnded)
    expect(page.get_by_role("button", name="Call again")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("Connected")
    _presses(page, "Hang up")
    stand.takes(2).hears(CallEnded)


def test_a_guest_gives_up(stand: Stand, open_context: Open) -> None:
    page = open_context().new_page()
    page.goto(f"{stand.url}/call?to=1001")
    _presses(page, "Call")
    expect(page.get_by_role("status")).to_have_text("Ringing…")
    expect(page.get_by_role("button", name="Give up")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("Call given up.")
    assert stand.takes().hears(CallerLeft).cause == "cancel"


def test_a_guest_hears_in_words_why_not(stand: Stand, open_context: Open) -> None:
    page = open_context().new_page()
    page.goto(f"{stand.url}/call?to=1002")
    _presses(page, "Call")
    expect(page.get_by_role("status")).to_have_text("Busy.")
    page.goto(f"{stand.url}/call?to=2000")
    _presses(page, "Call")
    expect(page.get_by_role("alert")).to_contain_text("2000 cannot be called from this page.")
    page.goto(f"{stand.url}/call")
    expect(page.get_by_role("alert")).to_contain_text("does not say whom to call")
    expect(page.get_by_role("button", name="Call", exact=True)).to_be_disabled()
    page.goto(f"{stand.url}/call?to=1000#token=nonsense")
    _presses(page, "Call")
    expect(page.get_by_role("alert")).to_contain_text("it is no token")


def test_the_name_in_the_address_is_text(stand: Stand, open_context: Open) -> None:
    page = open_context().new_page()
    page.goto(f"{stand.url}/call?to=1000&name=%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E")
    expect(page.get_by_role("heading")).to_have_text("<img src=x onerror=alert(1)>")
    assert page.locator("img").count() == 0


def test_the_microphone_is_refused(stand: Stand, open_context: Open) -> None:
    page = open_context(microphone=False).new_page()
    page.goto(f"{stand.url}/call?to=1000")
    _presses(page, "Call")
    expect(page.get_by_role("alert")).to_contain_text("The microphone is not allowed.")
    assert not stand.exchange.owned
    page.context.grant_permissions(["microphone"])
    _presses(page, "Call")
    expect(page.get_by_role("status")).to_have_text("Connected")
    expect(page.get_by_role("alert")).to_have_text("")


def test_the_service_cannot_be_reached(stand: Stand, open_context: Open) -> None:
    page = open_context().new_page()
    page.goto(f"{stand.url}/call?to=1000")
    stand.relay.cut()
    _presses(page, "Call")
    expect(page.get_by_role("alert")).to_contain_text("The telephone service cannot be reached.")
    stand.relay.mend()
    _presses(page, "Call")
    expect(page.get_by_role("status")).to_have_text("Connected")
    stand.relay.cut()
    expect(page.get_by_role("alert")).to_contain_text("The connection was lost.")
    stand.relay.mend()
    expect(page.get_by_role("alert")).to_have_text("")
    expect(page.get_by_role("status")).to_have_text("Connected")


# In a frame ----------------------------------------------------------------------------------------------


class _Shop(BaseHTTPRequestHandler):
    """Somebody's web site, with the call page in a frame."""

    frame = ""

    def do_GET(self) -> None:
        body = f"<h1>Shop</h1><iframe id=call allow=microphone width=340 height=420 src='{self.frame}'></iframe>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def shop() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Shop)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_in_a_frame_of_a_named_site(shop: ThreadingHTTPServer, tmp_path: Path, open_context: Open) -> None:
    site = f"http://127.0.0.1:{shop.server_port}"
    stand = Stand(tmp_path, guests=("1000",), origins=(site,))
    try:
        _Shop.frame = f"{stand.url}/call?to=1000&name=Shop"
        page = open_context().new_page()
        page.goto(site)
        frame = page.frame_locator("#call")
        _presses(frame, "Call")
        expect(frame.get_by_role("status")).to_have_text("Connected")
        _presses(frame, "Keypad")
        inside = page.frame(url=f"{stand.url}/call*")
        assert inside is not None
        assert inside.evaluate("document.documentElement.scrollWidth <= innerWidth")
        _presses(frame, "Hang up")
        stand.takes().hears(CallEnded)
    finally:
        stand.close()


def test_no_other_site_may_frame_it(shop: ThreadingHTTPServer, stand: Stand, open_context: Open) -> None:
    _Shop.frame = f"{stand.url}/call?to=1000"
    page = open_context().new_page()
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text))
    page.goto(f"http://127.0.0.1:{shop.server_port}")
    until(
        lambda: any("frame-ancestors" in text for text in (page.title(), *refused)), lambda: f"not refused: {refused}"
    )
    expect(page.frame_locator("#call").get_by_role("button", name="Call")).to_have_count(0)
