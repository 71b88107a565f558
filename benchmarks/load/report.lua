-- The last line of every run: what was answered, as JSON.
function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    '\n{"answered": %d, "refused": %d, "broken": %d, "duration_s": %.3f, "p50_ms": %.3f, "p95_ms": %.3f, "p99_ms": %.3f}\n',
    summary.requests, errors.status, errors.connect + errors.read + errors.write + errors.timeout,
    summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(95) / 1e3, latency:percentile(99) / 1e3))
end
