-- Sends numbered messages, each once. Arguments: kind of gateway, path, credentials, sink, the first number, how many,
-- and how many ms each connection waits before each of its requests.
-- The URL for callbacks says which message it is (n) and when its request was made (t, seconds since 1970).
require "clock"

local TEXT = "Your verification code is 123456. It is valid for ten minutes. Do not share it with anybody."
local PLUSED = TEXT:gsub(" ", "+")
local LONG_MS = 600000
local kind, path, headers, sink, first, most, pause_ms
-- wrk asks for one request more at its start, to look at it.
local sent, answered, refused, planned, begun = -1, 0, 0, 0, nil

function init(arguments)
  kind, path, sink = arguments[1], arguments[2], arguments[4]
  first, most, pause_ms = tonumber(arguments[5]), tonumber(arguments[6]), tonumber(arguments[7])
  headers = kind == "ringback" and { ["Authorization"] = arguments[3], ["Content-Type"] = "application/json" } or {}
end

-- Asked before each request: when all are planned, connections wait for longer than the rest takes.
function delay()
  planned = planned + 1
  return planned > most and LONG_MS or pause_ms
end

function request()
  local n, at = first + sent, string.format("%.3f", now())
  sent = sent + 1
  begun = begun or now()
  if kind == "ringback" then
    return wrk.format("POST", path, headers, string.format(
      '{"src":"15005550100","dst":"4915%09d","text":"%s","url":"%s?n=%d&t=%s","method":"GET"}', n, TEXT, sink, n, at))
  end
  -- Kannel writes a message's state where it is told to, Jasmin adds it.
  local words, state = "text", "%26s%3D%25d"
  if kind == "jasmin" then words, state = "content", "" end
  return wrk.format("GET", string.format(
    "%s&to=4915%09d&%s=%s&dlr-url=%s%%3Fn%%3D%d%%26t%%3D%s%s", path, n, words, PLUSED, sink, n, at, state), headers)
end

-- wrk itself would go on to the end of its time.
function response(status)
  answered = answered + 1
  refused = refused + (status >= 400 and 1 or 0)
  if answered >= most then
    io.write(string.format('{"answered": %d, "refused": %d, "duration_s": %.3f}\n', answered, refused, now() - begun))
    io.flush()
    os.exit(0)
  end
end
