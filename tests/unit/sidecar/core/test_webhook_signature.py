from __future__ import annotations

import base64

import pytest

from sidecar.core.webhook_signature import parse_webhook_secret, webhook_headers

PUBLISHED = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_a_signature_is_that_of_the_published_example() -> None:
    """The example that libraries of Standard Webhooks test themselves by."""
    headers = webhook_headers(
        parse_webhook_secret(PUBLISHED),
        id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp=1614265330,
        body=b'{"test": 2432232314}',
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@pytest.mark.parametrize(
    ("secret", "why"),
    [
        ("correct horse", "whsec_ and"),
        ("whsec_!!!!", "not base64"),
        ("whsec_ää", "not base64"),
        ("whsec_" + base64.b64encode(b"x" * 23).decode(), "23 bytes"),
        ("whsec_" + base64.b64encode(b"x" * 65).decode(), "65 bytes"),
    ],
)
def test_a_secret_that_is_none_is_refused_without_being_repeated(secret: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as error:
        parse_webhook_secret(secret)
    assert secret not in str(error.value)
