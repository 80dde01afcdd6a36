"""Runs examples/freeswitch/uuid_audio_stream.lua as FreeSWITCH's mod_lua does, in a Lua of our own."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lupa.lua53

_SCRIPT = Path(__file__).parents[2] / "examples" / "freeswitch" / "uuid_audio_stream.lua"

_FREESWITCH = """
freeswitch = {
  API = function() return { execute = function(_, command, argument) return execute(command, argument) end } end,
  consoleLog = function(level, text) log(level .. " " .. text) end,
}
stream = { write = function(_, text) write(text) end }
io.popen = function(command, mode) -- which this Lua was built without
  assert(mode == "w")
  local said = {}
  return {
    write = function(_, ...) for _, each in ipairs({...}) do said[#said + 1] = each end end,
    close = function() run(command, table.concat(said)) end,
  }
end
"""


def run_script(
    arguments: Sequence[str],
    *,
    sidecar: str,
    token_file: Path | None = None,
    variables: Mapping[str, str] | None = None,
) -> tuple[str, list[str]]:
    """Run the script for a sidecar, on a call with these variables; return its answer, and what it has logged."""
    known, written, logged = variables or {}, list[str](), list[str]()

    def execute(command: str, argument: str) -> str:
        assert command == "uuid_getvar"
        return known.get(argument.split(" ")[1], "_undef_")

    def run(command: str, said: str) -> None:
        subprocess.run(["sh", "-c", command], input=said.encode(), check=False, timeout=60)

    lua = lupa.lua53.LuaRuntime(encoding="utf-8")
    names: Any = lua.globals()
    names.execute, names.run, names.write, names.log = execute, run, written.append, logged.append
    names.argv = lua.table(*arguments)
    lua.execute(_FREESWITCH)
    source = _SCRIPT.read_text().replace("http://127.0.0.1:8080", sidecar)
    if token_file is not None:
        source = source.replace("local TOKEN_FILE = nil", f'local TOKEN_FILE = "{token_file}"')
    lua.execute(source)
    return "".join(written), logged
