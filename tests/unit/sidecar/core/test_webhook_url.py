from __future__ import annotations

import pytest

from sidecar.core.webhook_url import WebhookUrl, parse_webhook_url


@pytest.mark.parametrize(
    ("url", "parsed", "authority"),
    [
        ("https://a.example", WebhookUrl("a.example", 443, True, "/"), "a.example"),
        ("http://A.example:80/x?y=1", WebhookUrl("a.example", 80, False, "/x?y=1"), "a.example"),
        ("http://127.0.0.1:8080/", WebhookUrl("127.0.0.1", 8080, False, "/"), "127.0.0.1:8080"),
        ("https://[2001:db8::1]?q", WebhookUrl("2001:db8::1", 443, True, "/?q"), "[2001:db8::1]"),
    ],
)
def test_a_url_is_read(url: str, parsed: WebhookUrl, authority: str) -> None:
    assert parse_webhook_url(url) == parsed
    assert parsed.authority == authority


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ws://a.example",
        "https://",
        "https:///x",
        "a.example/x",
        "https://a.example:0",
        "https://a.example:99999",
        "https://a.example:x",
        "https://[::1",
        "https://a.example/ä",
        "https://a.example/a b",
        "https://a.example/\r\nHost: b",
        "https://user@a.example/",
        "https://a.example/#x",
    ],
)
def test_what_nobody_can_post_to_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        parse_webhook_url(url)
