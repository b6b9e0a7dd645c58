-- Jobs of callers who may not write what all jobs share: those can only add to a list, and nothing else of it. Whoever may takes them from there,
-- as an enqueue would have made them. The list holds what anybody who may enqueue has put there: nothing of it is believed.
local core = ...
local prelude, jobs = core.use 'prelude', core.use 'jobs'
local arrivals = {}

-- What a caller's job is, whoever it says that it is: an enqueued one of a sproc that runs in workers. Nothing for any other.
local function job_in(text)
  local job = jobs.read(text)
  if not job or not job.id:find('^%d+%-%d+$') or #job.id > 40 then return end
  local entry = core.entries[job.sproc] or core.load_entry(job.sproc)
  if not entry.is_async and entry.code ~= 'DISABLED' then return end
  job.trigger, job.attempt, job.depth, job.server = 'enqueue', 1, 1, nil
  job.enqueued_ms = math.min(job.enqueued_ms, prelude.now_ms())
  return job
end

-- Puts at most K.DUE_LIMIT of them among the jobs. Returns how many were none, and whether there may be more.
function arrivals.admit()
  if redis.call('EXISTS', K.ENQUEUED) == 0 then return 0, false end
  local dropped = 0
  for _ = 1, K.DUE_LIMIT do
    local text = redis.call('LPOP', prelude.writable(K.ENQUEUED, 'list'))
    if not text then return dropped, false end
    local job = job_in(text)
    if job then
      jobs.admit(job, jobs.rules(job.sproc).overlap)
    else
      dropped = dropped + 1
    end
  end
  return dropped, true
end

return arrivals
