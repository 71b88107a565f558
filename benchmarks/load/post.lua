-- Posts a form of a callback's size.
require "report"

function init()
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/x-www-form-urlencoded"
  wrk.body = string.rep("x", 400)
end
