"""The page of the console as it is shipped."""

from __future__ import annotations

import json
import re
import subprocess
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from sidecar.api.console_page import content_policy

PAGE = resources.files("sidecar.api").joinpath("console.html").read_text(encoding="utf-8")


class Tags(HTMLParser):
    """Gathers the tags of a page, with their attributes, and what is written in each."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self._open = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open = tag

    def handle_data(self, data: str) -> None:
        self.texts[self._open] = self.texts.get(self._open, "") + data

    def handle_endtag(self, tag: str) -> None:
        self._open = ""


def tags() -> Tags:
    parser = Tags()
    parser.feed(PAGE)
    return parser


def test_nothing_comes_from_elsewhere_and_nothing_is_run_but_the_script() -> None:
    for tag, attributes in tags().tags:
        assert not [name for name in attributes if name.startswith("on") or name in ("src", "style", "action")], tag
        assert attributes.get("href") in (None, "data:,", "docs")
    script = tags().texts["script"]
    for sink in ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "Function(", "localStorage"):
        assert sink not in script
    assert "sessionStorage" in script


@pytest.mark.peer("node")
def test_the_script_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "console.js"
    path.write_text(tags().texts["script"])
    done = subprocess.run(["node", "--check", path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_policy_is_for_this_very_page() -> None:
    policy = dict(part.split(" ", 1) for part in content_policy(PAGE).split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["require-trusted-types-for"] == "'script'"
    for kind in ("script", "style"):
        digest = b64encode(sha256(tags().texts[kind].encode()).digest()).decode()
        assert policy[f"{kind}-src"] == f"'sha256-{digest}'"


def test_all_that_the_script_looks_for_is_there_and_has_a_name_for_those_who_cannot_see() -> None:
    found = tags().tags
    ids = [attributes["id"] for _, attributes in found if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'byId\("([a-z-]+)"\)', tags().texts["script"])) <= set(ids)
    labels = {attributes["for"] for tag, attributes in found if tag == "label" and "for" in attributes}
    fields = {attributes["id"] for tag, attributes in found if tag in ("input", "textarea")}
    assert fields - labels == {"hold", "only"}  # within their labels
    named = {attributes["aria-labelledby"] for _, attributes in found if "aria-labelledby" in attributes}
    assert named <= set(ids)


_DOCUMENT = """
class Node {
  children = []; textContent = ""; dataset = {}; hidden = false; previousElementSibling = null; parentNode = null;
  classList = {toggle() {}};
  append(...nodes) { for (const node of nodes) { node.parentNode = this; this.children.push(node); } }
  prepend(node) { this.append(node); }
  after(node) { this.parentNode.append(node); }
  get lastElementChild() { return this.children.at(-1); }
  querySelector() { return this.children[0].children[0]; }
  addEventListener() {} setAttribute() {} replaceChildren() {} remove() {}
}
const nodes = {};
const byName = (id) => nodes[id] ??= new Node();
globalThis.document = {
  hidden: true, getElementById: byName, createElement: () => new Node(), querySelectorAll: () => [],
};
globalThis.sessionStorage = {getItem: () => null};
globalThis.fetch = async (path) => {
  const body = path.startsWith("v1/streams") ? PAGE : path === "readyz" ? {} : null;
  return {ok: body !== null, status: 404, statusText: "", headers: new Map(), json: async () => body ?? {}};
};
"""

_SEEN = """
lookAtStreams().then(() => {
  const [row] = nodes.streams.children, cells = row.children.map((each) => each.hidden ? null : each.textContent);
  console.log(JSON.stringify({caption: nodes.caption.textContent, pod: nodes.pod.hidden ? null : cells.at(-1)}));
  process.exit();
});
"""

_STREAM: dict[str, Any] = {
    "id": "one",
    "call": "a",
    "from": "b",
    "to": "c",
    "url": "d",
    "state": "up",
    "bot": "connected",
}
_STREAM |= {"mix": "mono", "rate": 8000, "codec": None, "started_at": 0.0, "paused": False}


@pytest.mark.peer("node")
@pytest.mark.parametrize(
    ("page", "caption", "pod"),
    [
        ({}, "1 streams", None),
        ({"unseen": "Redis is away"}, "1 streams; those of other sidecars are missing: Redis is away", None),
        ({"streams": [{**_STREAM, "pod": "p-1"}]}, "1 streams", "p-1"),
        ({"streams": [{**_STREAM, "pod": "p-1"}, _STREAM], "next": "x"}, "2 streams, and more", "p-1"),
    ],
)
def test_streams_are_shown_with_their_pod_and_why_some_are_not(
    tmp_path: Path, page: dict[str, Any], caption: str, pod: str | None
) -> None:
    path, shown = tmp_path / "console.js", {"streams": [_STREAM], "next": None, **page}
    path.write_text(
        f"const PAGE = {json.dumps(shown)};{_DOCUMENT}{tags().texts['script'].replace('begin();', '', 1)}{_SEEN}"
    )
    done = subprocess.run(["node", path], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"caption": caption, "pod": pod}
