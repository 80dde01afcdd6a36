"""Writes the README of the chart: the table of values is values.yaml, in another form.

python helm/make_readme.py            writes it
python helm/make_readme.py --check    says whether it is as it would be written
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

CHART = Path(__file__).resolve().parent / "audio-stream-sidecar"

_HEAD = """\
# audio-stream-sidecar, the chart

The media server that connects any stock FreeSWITCH to any voice bot, on Kubernetes 1.30 and later, by Helm 3 and 4.
[docs/kubernetes.md](../../docs/kubernetes.md) leads through it; [ci](ci) has a file of values for each scenario, and
[examples/with-freeswitch.yaml](examples/with-freeswitch.yaml) the sidecar in the pod of a FreeSWITCH.

    helm install sidecar helm/audio-stream-sidecar
    helm test sidecar

## Values

Made from `values.yaml` by `make chart-readme`.

| value | default | |
|---|---|---|
"""


def described(node: yaml.MappingNode, lines: list[str], *, above: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield path, default and description of each value that has a comment above it."""
    for key, value in node.value:
        path, comment = f"{above}{key.value}", lines[key.start_mark.line - 1].strip()
        if comment.startswith("#"):
            yield path, json.dumps(load(value)), comment.lstrip("# ")
        elif isinstance(value, yaml.MappingNode) and value.value:
            yield from described(value, lines, above=f"{path}.")
        else:
            raise ValueError(f"values.yaml: {path} has no comment above it")


def load(node: yaml.Node) -> object:
    """Return what a node holds."""
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_object(node, deep=True)
    finally:
        loader.dispose()


def readme(values: str) -> str:
    """Return the README of a chart with these values."""
    node = yaml.compose(values, Loader=yaml.SafeLoader)
    assert isinstance(node, yaml.MappingNode)
    rows = (f"| `{path}` | `{default}` | {text} |\n" for path, default, text in described(node, values.splitlines()))
    return _HEAD + "".join(rows)


def main(arguments: list[str]) -> int:
    """Write the README, or check it."""
    path, text = CHART / "README.md", readme((CHART / "values.yaml").read_text())
    if arguments == ["--check"]:
        if path.read_text() == text:
            return 0
        sys.stderr.write(f"{path} is not what values.yaml says: make chart-readme\n")
        return 1
    path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
