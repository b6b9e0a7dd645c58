-- Runs and errors of each minute of a day: of each sproc, and under the empty name of all. While a minute lasts its counts stand in the stats
-- alone, whose `minute` says what had been counted before it: `minute runs errors`. When the first one behind it is counted, it goes
-- into the field of its hour (modulo 24): `hour` (since 1970), a blank, and for each minute that has any the letter of its place in the hour
-- (`@` is the first), the runs and, if there are any, `!` and the errors: `491233 @12A13!4`.
-- An entry's `minute` is that for which its stats were last seen so: they are not asked again before it is over.
local core = ...
local entries, later = core.entries, core.later
local minutes = {}
local floor, format, char, tostring, pcall = math.floor, string.format, string.char, tostring, redis.pcall
local MOST = 9007199254740992

local function whole(text)
  local found = tonumber(text)
  return found and found >= 0 and found <= MOST and floor(found) or 0
end

-- A key of another type, made by hand, gives way.
local function gave_way(key, reply)
  return type(reply) == 'table' and reply.err and reply.err:find('WRONGTYPE', 1, true) and type(pcall('DEL', key)) == 'number'
end

-- Puts some of an hour into the field of that hour.
local function put(kept, hour, text)
  local field, head = hour % 24, format('%d ', hour)
  local held = pcall('HGET', kept, field)
  gave_way(kept, held)
  local goes_on = type(held) == 'string' and held:sub(1, #head) == head
  if goes_on and #held + #text > K.HOUR_LIMIT_BYTES then return end
  pcall('HSET', kept, field, (goes_on and held or head) .. text)
  if not goes_on then pcall('PEXPIRE', kept, K.MINUTES_TTL_MS) end
end
minutes.put = put

-- Ends the minute of the stats, if it is another one. Returns what their `minute` is to be; nothing if they can't be read.
-- `late_runs`, `late_errors`: what was counted there already and belongs to the one that begins.
local function turn(stats, kept, now, late_runs, late_errors)
  local held = pcall('HMGET', stats, 'minute', 'runs', 'calls', 'errors', 'call_errors')
  if held.err then
    if not gave_way(stats, held) then return nil end
    held = {}
  end
  local minute, runs_before, errors_before = tostring(held[1]):match('^(%d+) (%d+) (%d+)$')
  if minute == now then return held[1] end
  local runs, errors = whole(held[2]) + whole(held[3]) - late_runs, whole(held[4]) + whole(held[5]) - late_errors
  if minute and math.abs(now - minute) < 1440 then
    local more_runs, more_errors = math.max(0, runs - runs_before), math.max(0, errors - errors_before)
    if more_runs + more_errors > 0 then
      local text = format('%s%.0f', char(64 + minute % 60), more_runs)
      put(kept, floor(minute / 60), more_errors > 0 and format('%s!%.0f', text, more_errors) or text)
    end
  end
  return format('%s %.0f %.0f', now, math.max(0, runs), math.max(0, errors))
end
minutes.turn = turn

-- The minute of a second, both as text.
local known_s, known
local function of(second)
  if second ~= known_s then known_s, known = second, format('%d', floor(second / 60)) end
  return known
end
minutes.of = of

-- What has been counted of all and is not written; the minute and the second in which that was done last.
local all_runs, all_errors, all_minute, all_s = 0, 0, nil, nil

function minutes.write_all(second)
  if all_runs + all_errors == 0 then return end
  local minute, stats = of(second), K.STATS_PREFIX
  if minute ~= all_minute then
    local begun = turn(stats, K.MINUTES_PREFIX, minute, 0, 0)
    if not begun or type(pcall('HSET', stats, 'minute', begun)) ~= 'number' then return end
    all_minute = minute
  end
  if all_runs > 0 and type(pcall('HINCRBY', stats, 'runs', all_runs)) == 'number' then all_runs = 0 end
  if all_errors > 0 and type(pcall('HINCRBY', stats, 'errors', all_errors)) == 'number' then all_errors = 0 end
  all_s = second
end

function minutes.count_all(runs, errors)
  all_runs, all_errors = all_runs + runs, all_errors + errors
end

-- Before runs and errors are added to the stats of a sproc. Returns what their `minute` is to be, if another one begins.
function minutes.count(name, runs, errors, second)
  local minute, entry, begun = of(second), entries[name] or later[name] or {}, nil
  if entry.minute ~= minute then
    begun = turn(K.STATS_PREFIX .. name, K.MINUTES_PREFIX .. name, minute, 0, 0)
    entry.minute = minute
  end
  all_runs, all_errors = all_runs + runs, all_errors + errors
  if second ~= all_s then minutes.write_all(second) end
  return begun
end

return minutes
