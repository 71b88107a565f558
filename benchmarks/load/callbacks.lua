-- Posts signed callbacks from a file: lines of nonce, signature and body, separated by tabs. Arguments: file, path, and
-- how many in all; without that, as many as there is time for. With it, every request is waited for.
require "report"
require "clock"

local LONG_MS = 600000
local requests, at = {}, 0
local answered, refused, planned, begun = 0, 0, 0, nil

-- wrk looks whether there is such a function, after init.
local function stop_after(most)
  function delay()
    planned = planned + 1
    return planned > most and LONG_MS or 0
  end

  function response(status)
    answered = answered + 1
    refused = refused + (status >= 400 and 1 or 0)
    if answered >= most then
      io.write(string.format('{"answered": %d, "refused": %d, "duration_s": %.3f}\n', answered, refused, now() - begun))
      io.flush()
      os.exit(0)
    end
  end
end

function init(arguments)
  for line in io.lines(arguments[1]) do
    local nonce, signature, body = line:match("^(.-)\t(.-)\t(.*)$")
    requests[#requests + 1] = wrk.format("POST", arguments[2], {
      ["Content-Type"] = "application/x-www-form-urlencoded",
      ["X-Plivo-Signature-V3-Nonce"] = nonce,
      ["X-Plivo-Signature-V3"] = signature,
    }, body)
  end
  if arguments[3] then
    stop_after(tonumber(arguments[3]))
  end
end

function request()
  begun = begun or now()
  at = at % #requests + 1
  return requests[at]
end
