"""What JSON may say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from sidecar.api.bodies import AttachBody, HangupBody
from sidecar.core.cause import Cause, parse_cause


def options(**members: Any) -> dict[str, str]:
    return AttachBody.model_validate_json(json.dumps({"call": "one", **members})).options()


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (["dtmf", "vad"], "dtmf,vad"),
        ([], "none"),
        ("dtmf, VAD", "dtmf, VAD"),
        ("all", "all"),
    ],
)
def test_events_are_a_list_or_the_text_of_the_option(given: Any, text: str) -> None:
    assert options(events=given) == {"events": text}


def test_an_option_of_one_value_is_no_list() -> None:
    assert options(track="callee", mix="stereo") == {"track": "callee", "mix": "stereo"}


@pytest.mark.parametrize("member", [{"events": ["nonsense"]}, {"events": 5}, {"track": ["callee"]}, {"mix": "both"}])
def test_other_values_are_refused_by_the_name_of_the_option(member: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        options(**member)
    assert {each["loc"][0] for each in caught.value.errors()} == set(member)


@pytest.mark.parametrize("cause", [1, 127, "1", "99", "100", "119", "127", *Cause.__members__])
def test_a_cause_is_a_number_or_a_name(cause: int | str) -> None:
    given = HangupBody.model_validate_json(json.dumps({"cause": cause})).cause
    assert parse_cause(given) == parse_cause(cause)


@pytest.mark.parametrize("cause", [0, 128, True, 1.5, "0", "021", "128", "BOREDOM", ""])
def test_another_cause_is_refused(cause: object) -> None:
    with pytest.raises(ValidationError, match="cause"):
        HangupBody.model_validate_json(json.dumps({"cause": cause}))
