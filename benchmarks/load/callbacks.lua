-- Posts signed callbacks from a file: lines of nonce, signature and body, separated by tabs. Arguments: file, path.
require "report"

local requests, at = {}, 0

function init(arguments)
  for line in io.lines(arguments[1]) do
    local nonce, signature, body = line:match("^(.-)\t(.-)\t(.*)$")
    requests[#requests + 1] = wrk.format("POST", arguments[2], {
      ["Content-Type"] = "application/x-www-form-urlencoded",
      ["X-Plivo-Signature-V3-Nonce"] = nonce,
      ["X-Plivo-Signature-V3"] = signature,
    }, body)
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end
