-- Events whose key another shard has by now. The one that heard of them puts them into its Outbox, in the same step as the watermark; a daemon hands
-- them over, and the key's shard runs each once: it remembers which it has had.
local core = ...
local prelude, records, batches = core.use 'prelude', core.use 'records', core.use 'batch'
local moved, serve = {}, {}
local NOWHERE = { picks = {} }
moved.HAD_S = 86400

-- The tag that a key has of itself.
local function own_tag(key)
  return key:match('^[^{]*{([^}]+)}')
end

-- A key in a key's slot that nobody has, where one can be named.
local function beside(key)
  local tag = own_tag(key)
  if not tag and (key == '' or key:find('}', 1, true)) then return key end
  return '{' .. (tag or key) .. '}:' .. K.MARK
end

-- Whether this node does not serve a key's slot, or not yet, or no longer all of it. While a slot moves key by key, only what is still there can
-- be touched: of a sproc that uses two keys, the first command might have an effect, and the second fail.
local function is_elsewhere(key)
  key = beside(key)
  return type(redis.pcall('EXISTS', key)) == 'table' and redis.acl_check_cmd('EXISTS', key)
end
moved.is_elsewhere = is_elsewhere

-- Touches all that a batch may write, before it has any effect: while the slot of this registry moves key by key, one that has gone raises.
function moved.touch(names)
  local keys = { K.EVENTS, K.EXECUTIONS, K.JOBS, K.DELAYED, K.OUTBOX, K.GAPS }
  for _, name in ipairs(names) do keys[#keys + 1] = K.STATS_PREFIX .. name end
  redis.call('EXISTS', unpack(keys))
end

-- The slot of a key that has no hash tag: its CRC16 (XMODEM).
local function slot_of(key)
  local crc = 0
  for place = 1, #key do
    crc = bit.bxor(crc, bit.lshift(key:byte(place), 8))
    for _ = 1, 8 do
      crc = bit.band(crc >= 32768 and bit.bxor(bit.lshift(crc, 1), 4129) or bit.lshift(crc, 1), 65535)
    end
  end
  return crc % 16384
end

-- The tag of keys in the slot of `at`. One that has a brace and no hash tag can't be a tag: two bytes of the same slot are, whose CRC is taken
-- back by 16 bits. tag_beside in slots.py makes the same of it.
local function tag_of(at)
  local tag = own_tag(at) or at
  if not tag:find('}', 1, true) then return tag end
  for crc = slot_of(at), 65535, 16384 do
    for _ = 1, 16 do crc = bit.rshift(crc % 2 == 1 and bit.bxor(crc, 69665) or crc, 1) end
    tag = string.char(math.floor(crc / 256), crc % 256)
    if not tag:find('}', 1, true) then return tag end
  end
end

-- The key of a schedule's mark, see marks.lua; nothing if it is a field of SCHEDULED.
function moved.mark_key(name)
  local values = core.use 'header'.read(name, 'at') or {}
  if values.at == 'each' then return nil end
  return '{' .. tag_of(values.at or name) .. '}:' .. K.MARK .. name
end

-- The key by which a run goes to its shard, if that is another one, or will be in a moment: its first one, or without keys its schedule's `at`.
function moved.elsewhere_of(job)
  local key = job.keys[1]
  if not key then
    key = (core.use 'header'.read(job.sproc, 'at') or {}).at or job.sproc
    if key == 'each' then return nil end
  end
  return is_elsewhere(key) and key or nil
end

-- There must be an Outbox beforehand: it can't be made in a slot that moves.
function moved.prepare()
  if redis.call('EXISTS', K.OUTBOX) == 1 then return end
  redis.call('XDEL', prelude.writable(K.OUTBOX, 'stream'), redis.call('XADD', K.OUTBOX, '*', 'key', ''))
end

-- Puts those events of a batch into the Outbox whose key is elsewhere, or is on its way: nothing of it runs for them here.
function moved.send_on(batch)
  for n = 1, batch.size do
    local place, route = batch.places[n], batch.chosen[n]
    local key, event = batch.args[place], batch.args[place + 1]
    if next(route.picks) and is_elsewhere(key) then
      local names = {}
      for at in pairs(route.picks) do names[#names + 1] = batch.names[at] end
      redis.call('XADD', prelude.writable(K.OUTBOX, 'stream'), '*', 'key', key, 'event', event, 'depth', route.depth, 'roots', route.roots,
        'origin', route.origin, 'names', table.concat(names, '\n'))
      batch.chosen[n] = NOWHERE
    end
  end
end

-- Runs sprocs for one event.
local function run_one(names, depth, roots, origin, key, event, daemon)
  local picks = {}
  for place = 1, #names do picks[place] = place end
  local flat = { #names, unpack(names) }
  for _, word in ipairs({ 1, depth, roots, origin, '', table.concat(picks, ' '), '1', '1', key, event }) do flat[#flat + 1] = tostring(word) end
  local batch = batches.read(flat, 1)
  batch.daemon = daemon
  batches.read_values(batch, 1)
  core.use('dispatch').run_batch(batch)
end

function serve.arrive(_, args)
  local from, id, daemon, depth, roots, origin, key, event = unpack(args, 1, 8)
  prelude.serve_generation()
  if is_elsewhere(key) then return redis.status_reply('ELSEWHERE') end
  local had = K.HAD_PREFIX .. from .. ':' .. id
  local names = { unpack(args, 9) }
  moved.touch(names)
  if not redis.call('SET', had, 1, 'NX', 'EX', moved.HAD_S) then return redis.status_reply('HAD') end
  -- A key that is moved one by one is deleted where it was: that is no event.
  if event == 'del' and redis.call('EXISTS', key) == 1 then return redis.status_reply('MOVED') end
  local ok, problem = pcall(run_one, names, depth, roots, origin, key, event, daemon)
  if not ok then
    core.use 'guard'.put_back()
    local error = 'a batch broke off: ' .. core.use 'runs'.said(problem)
    pcall(records.write, { trigger = 'event', key = key, status = 'error', error = error, daemon = daemon })
  end
  return redis.status_reply('OK')
end

-- Whether the epoch goes on here, where a replica was promoted. 1: yes, as the daemon has heard all of it through the demoted server (`forced` 2);
-- 0: not yet, as one may do so within a lease. Not once a daemon has listened and lost its connection (`forced` 3).
function moved.carried(epoch, forced, run_id, now)
  if forced == '2' then
    redis.call('HSET', K.EVENTS, 'server', run_id)
    redis.call('HDEL', K.EVENTS, 'waits')
    return 1
  end
  return forced ~= '3' and moved.waits(epoch, now) and 0
end

function moved.waits(epoch, now)
  local since = tonumber(redis.call('HGET', K.EVENTS, 'waits') or 0)
  if since > 0 then return now - since < K.LEASE_MS and now >= since end
  local daemons = redis.call('HGETALL', K.DAEMONS)
  for i = 2, #daemons, 2 do
    local at, info = daemons[i]:match('^(%d+) %d+ (.+)$')
    local ok, said = pcall(prelude.json().decode, info or '')
    local hears = ok and type(said) == 'table' and said.epoch == epoch and type(said.covers) == 'table' and next(said.covers)
    if hears and math.abs(now - at) < K.LEASE_MS then
      redis.call('HSET', K.EVENTS, 'waits', now)
      return true
    end
  end
  return false
end

moved.serve = serve
return moved
