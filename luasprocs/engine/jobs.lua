-- Async runs: jobs in a stream, their retries, their end.

-- Puts a run of an async sproc among the jobs, in the atomic step that caused it. Takes the sproc's name, trigger, KEYS, ARGV (strings), the
-- run's origin and depth as in a record. Returns the job's id.
local function enqueue_job(name, trigger, keys, args, origin, depth)
  error('not yet')
end
