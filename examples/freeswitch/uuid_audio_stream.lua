-- uuid_audio_stream: the command line of mod_audio_stream, for audio-stream-sidecar.
--
--   fs_cli> lua uuid_audio_stream.lua <uuid> start <wss-url> <mono|mixed|stereo|callee> [8k|16k|...] [metadata]
--   fs_cli> lua uuid_audio_stream.lua <uuid> stop|send_text|graceful-shutdown [text]
--   fs_cli> lua uuid_audio_stream.lua <uuid> pause|resume|break
--
-- It belongs into the script directory of FreeSWITCH (`global_getvar script_dir`), and needs mod_lua and the program curl.
-- `alias add uuid_audio_stream lua uuid_audio_stream.lua` in fs_cli gives it its old name there.

local SIDECAR = "http://127.0.0.1:8080"
local TOKEN_FILE = nil -- "/etc/freeswitch/sidecar.token": what follows "Bearer", if the sidecar wants a token

-- Channel variables of mod_audio_stream, and those that the sidecar has beside them: STREAM_<NAME> is the option <name>.
local TEXTS = { "auth", "barge_in", "dialect", "events", "id", "inject", "metadata", "on_bot_close", "on_bot_lost",
  "profile", "tls_ca_file", "tls_cert_file", "tls_key_file" }
local NUMBERS = { "buffer_size", "heart_beat", "playback_max", "preroll", "reconnect_max", "replay" }
local SWITCHES = { "message_deflate", "no_reconnect", "playback", "suppress_log", "tls_disable_hostname_validation" }
local TRUE = { ["true"] = true, ["1"] = true, yes = true, on = true }

local USAGE = "-USAGE: <uuid> start <wss-url> <mono|mixed|stereo|callee> [8k|16k] [metadata]"
  .. " | <uuid> stop|send_text|graceful-shutdown [text] | <uuid> pause|resume|break\n"

local api = freeswitch.API()

local function complain(text)
  freeswitch.consoleLog("ERR", "uuid_audio_stream: " .. text .. "\n")
end

local function json(text)
  return '"' .. text:gsub('[%c"\\\127]', function(c) return string.format("\\u%04x", c:byte()) end) .. '"'
end

-- A string of a curl configuration file.
local function quoted(text)
  return '"' .. text:gsub("[\\\"\n\r\t\v]", { ["\\"] = "\\\\", ['"'] = '\\"', ["\n"] = "\\n", ["\r"] = "\\r",
    ["\t"] = "\\t", ["\v"] = "\\v" }) .. '"'
end

local function read_file(path)
  local file = io.open(path, "rb")
  local text = file and file:read("a")
  if file then file:close() end
  return text
end

-- Ask the sidecar; return the status and the body. What is asked goes to curl's standard input, and so neither through
-- a shell nor into the list of processes.
local function ask(method, path, body)
  local answer = os.tmpname()
  local curl = io.popen("curl --silent --config - >" .. answer, "w")
  curl:write("url = ", quoted(SIDECAR .. path), "\nrequest = ", method, "\nmax-time = 45\n",
    'write-out = "\\n%{http_code}"\n')
  if body then
    curl:write('header = "Content-Type: application/json"\ndata-raw = ', quoted(body), "\n")
  end
  if TOKEN_FILE then
    local token = (read_file(TOKEN_FILE) or ""):match("^%s*(%S*)")
    curl:write("header = ", quoted("Authorization: Bearer " .. token), "\n")
  end
  curl:close()
  local text, status = (read_file(answer) or ""):match("^(.*)\n(%d+)$")
  os.remove(answer)
  status = tonumber(status) or 0
  if status == 0 then
    complain("no answer from " .. SIDECAR)
  elseif status >= 300 then
    complain(method .. " " .. path .. ": " .. status .. " " .. text)
  end
  return status, text or ""
end

local function done(status)
  return status >= 200 and status < 300
end

local function variable(uuid, name)
  local value = api:execute("uuid_getvar", uuid .. " STREAM_" .. name:upper())
  return value and value ~= "_undef_" and value ~= "" and value:sub(1, 4) ~= "-ERR" and value or nil
end

local function rate(text)
  return text:match("^%d+$") and text or json(text)
end

-- The options of a new stream: those given, and those of the channel.
local function options(uuid, given)
  local members = {}
  local function add(name, value) members[#members + 1] = json(name) .. ":" .. value end
  for name, value in pairs(given) do add(name, value) end
  for _, name in ipairs(TEXTS) do
    local value = not given[name] and variable(uuid, name)
    if value then add(name, json(value)) end
  end
  for _, name in ipairs(NUMBERS) do
    local value = variable(uuid, name)
    if value then add(name, tostring(math.floor(tonumber(value) or -1))) end
  end
  for _, name in ipairs(SWITCHES) do
    local value = variable(uuid, name)
    if value then add(name, tostring(TRUE[value:lower()] or false)) end
  end
  local sampling = variable(uuid, "sample_rate")
  if sampling then add("sample_rate", rate(sampling)) end
  local headers = variable(uuid, "extra_headers")
  if headers then add("extra_headers", headers) end
  return "{" .. table.concat(members, ",") .. "}"
end

-- The ids of the streams of a call.
local function streams(uuid)
  local status, text = ask("GET", "/v1/streams?call=" .. uuid)
  local ids = {}
  if done(status) then
    for id in text:gmatch('{"id":"([%w_.:@+-]+)"') do ids[#ids + 1] = id end
  end
  return ids
end

local function start(uuid, url, mix, sampling, metadata)
  if #streams(uuid) > 0 then
    complain("a stream is attached already")
    return false
  end
  local given = { call = json(uuid), url = json(url), mix = json(mix), rate = rate(sampling) }
  if metadata ~= "" then given.metadata = json(metadata) end
  return done(ask("POST", "/v1/streams", options(uuid, given)))
end

-- Ask something of each stream of a call; there must be one.
local function each(uuid, method, path, body)
  local ids = streams(uuid)
  local all = #ids > 0
  for _, id in ipairs(ids) do
    all = done(ask(method, "/v1/streams/" .. id .. path, body)) and all
  end
  return all
end

local function main()
  local uuid, command = argv[1], argv[2]
  if not uuid or not uuid:match("^[%w._@+-]+$") or not command then return USAGE end
  local text = table.concat(argv, " ", 3)
  local body = text ~= "" and '{"text":' .. json(text) .. "}" or nil
  local ok
  if command == "start" then
    if not argv[4] or not ({ mono = 1, mixed = 1, stereo = 1, callee = 1 })[argv[4]] then return USAGE end
    ok = start(uuid, argv[3], argv[4], argv[5] or "8k", table.concat(argv, " ", 6))
  elseif command == "stop" then
    ok = each(uuid, "DELETE", "", body)
  elseif command == "send_text" then
    if not body then return USAGE end
    ok = each(uuid, "POST", "/text", body)
  elseif command == "pause" or command == "resume" then
    ok = each(uuid, "POST", "/" .. command)
  elseif command == "break" then
    ok = each(uuid, "POST", "/clear")
  elseif command == "graceful-shutdown" then -- nothing more is heard; the bot says what it has to say, and closes
    ok = each(uuid, "POST", "/pause") and (not body or each(uuid, "POST", "/text", body))
  else
    return USAGE
  end
  return ok and "+OK Success\n" or "-ERR Operation Failed\n"
end

local answer = main()
if stream then
  stream:write(answer)
elseif answer:sub(1, 1) == "-" then -- as an application of the dialplan
  complain(answer)
end
