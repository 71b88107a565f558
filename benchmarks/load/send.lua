-- Sends messages: arguments are the authorization header, the path and the callback URL (or "-" for none).
require "report"

local path, headers, tail
local count = 0

function init(arguments)
  headers = { ["Authorization"] = arguments[1], ["Content-Type"] = "application/json" }
  path = arguments[2]
  tail = arguments[3] == "-" and '"}' or string.format('", "url": "%s"}', arguments[3])
end

function request()
  count = count + 1
  local body = string.format('{"src": "15005550100", "dst": "1415555%04d", "text": "Your code is %06d', count % 10000, count % 1000000)
  return wrk.format("POST", path, headers, body .. tail)
end
