-- The time in seconds since 1970, in microseconds' steps.
local ffi = require "ffi"
ffi.cdef "typedef struct { long s; long us; } ringback_time; int gettimeofday(ringback_time *now, void *zone);"
local clock = ffi.new("ringback_time")

function now()
  ffi.C.gettimeofday(clock, nil)
  return tonumber(clock.s) + tonumber(clock.us) / 1e6
end
