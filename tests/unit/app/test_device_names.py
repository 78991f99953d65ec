"""User agents as their users would call them."""

import pytest

from services.app.sessions.device_names import LENGTH, short
from services.common.devices import Device

WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        (f"Mozilla/5.0 (X11; Linux x86_64) {WEBKIT} Chrome/131.0.0.0 Safari/537.36", "Chrome on Linux"),
        (f"Mozilla/5.0 (Windows NT 10.0; Win64) {WEBKIT} Chrome/131.0 Safari/537.36 Edg/131.0", "Edge on Windows"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0", "Firefox on Linux"),
        (f"Mozilla/5.0 (Linux; Android 14; Pixel 8) {WEBKIT} Chrome/131.0 Mobile Safari/537.36", "Chrome on Android"),
        ("Mozilla/5.0 (iPhone; CPU like Mac OS X) Version/17.1 Mobile Safari/604.1", "Safari on iPhone"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 14_1) Version/17.1 Safari/605.1.15", "Safari on Macintosh"),
        ("curl/8.5.0", "curl/8.5.0"),
        ("", ""),
        ("x" * 300, "x" * LENGTH),
    ],
)
def test_a_device_gets_a_short_name(agent: str, name: str) -> None:
    assert short(Device("192.0.2.1", agent)) == Device("192.0.2.1", name)
    assert len(name) <= LENGTH
