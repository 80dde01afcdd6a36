"""Writes the part of the chart's schema that is about `settings`, so that Helm refuses what the application would.

`make chart-schema`, after a change of settings.
"""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

from rtp import Codec
from sidecar.core.codecs import codec_named
from sidecar.core.options import StreamOptions
from sidecar.settings import Settings

SCHEMA = Path(__file__).resolve().parent / "audio-stream-sidecar/values.schema.json"
_OF_THE_CHART = {"workers", "drain_timeout"}  # it has values for them
_NEEDED = {  # what it makes would not work
    "ApiSettings": {"enabled", "tls_certificate", "tls_key"},
    "DirectorySettings": {"url", "name", "address", "tls_ca", "tls_name"},
}
_SECRET = {"type": "string", "pattern": "^(env|file):."}  # it would be in a ConfigMap, for all to read
_ABOUT = {"title", "description", "default", "format", "writeOnly"}
_WIDTH = 110

Schema = dict[str, Any]


def settings_schema() -> Schema:
    """Return the schema of `settings`."""
    whole = Settings.model_json_schema()
    sections = {name: each for name, each in whole["properties"].items() if name not in _OF_THE_CHART}
    definitions = whole["$defs"] | {"Codec": {"type": "string", "enum": _codec_names()}}
    definitions["ProfileSettings"] = _options(definitions["ProfileSettings"])
    for section, names in _NEEDED.items():
        for name in names:
            del definitions[section]["properties"][name]
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {name: _plain(each, definitions) for name, each in sections.items()},
    }


def _codec_names() -> list[str]:
    names = ("PCMU", "PCMA", "G722", "opus", "L16/16000", "L16/8000")
    assert {codec_named(name) for name in names} == set(Codec)
    return list(names)


def _options(profile: Schema) -> Schema:
    """Name the options of a stream; pydantic does not know them, and what each may be, the application says."""
    options: Schema = {each.name: {} for each in fields(StreamOptions)} | {"auth": _SECRET}
    return {"type": "object", "additionalProperties": False, "properties": profile["properties"] | options}


def _plain(schema: Schema, definitions: Schema) -> Schema:
    """Put what is referred to in its place, and leave out what checks nothing."""
    if "$ref" in schema:
        return _plain(definitions[schema["$ref"].removeprefix("#/$defs/")], definitions)
    if schema.get("writeOnly"):
        return _SECRET
    for each in schema.get("anyOf", ()):
        if each != {"type": "null"}:
            return _plain(each, definitions)  # YAML has nothing that TOML could say for null
    plain = {key: value for key, value in schema.items() if key not in _ABOUT}
    for key in ("items", "additionalProperties"):
        if isinstance(plain.get(key), dict):
            plain[key] = _plain(plain[key], definitions)
    if "properties" in plain:
        plain["properties"] = {name: _plain(each, definitions) for name, each in plain["properties"].items()}
    return plain


def text(value: Any, indent: str = "") -> str:
    """Write JSON: what fits into a line is one."""
    line = json.dumps(value)
    if len(indent) + len(line) <= _WIDTH or not isinstance(value, dict):
        return line
    deeper = f"{indent}  "
    members = (f"{deeper}{json.dumps(key)}: {text(each, deeper)}" for key, each in value.items())
    return "{\n" + ",\n".join(members) + f"\n{indent}}}"


def schema() -> str:
    """Return the whole schema, with that of `settings` in its place."""
    whole = json.loads(SCHEMA.read_text())
    whole["properties"]["settings"] = settings_schema()
    return text(whole) + "\n"


if __name__ == "__main__":
    SCHEMA.write_text(schema())
