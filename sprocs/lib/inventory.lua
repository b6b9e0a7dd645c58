-- What the sprocs in inventory/ share: the three keys of a stock, and the return of what was reserved and
-- not sold.
--
-- description=Keys and expiry of inventory reservations
-- tags=library,inventory
-- library=yes

local Inventory = {}
Inventory.__index = Inventory

-- The keys of a stock:
--
--   stock         hash: item, and how many are free to reserve. Fill it with HSET or HINCRBY
--   reservations  hash: id, and its items as JSON: {"apple": 2, "pear": 1}
--   deadlines     sorted set: id, by the unix time in milliseconds at which it is void
function Inventory.of(args)
  return setmetatable({
    stock = args:key(1, 'stock'),
    reservations = args:key(2, 'reservations'),
    deadlines = args:key(3, 'deadlines'),
  }, Inventory)
end

-- How many overdue reservations one call takes back: some milliseconds of the server's time. The next call
-- goes on.
local SWEEP = 1000

-- The items of a reservation, by name, and its deadline; nothing when there is no such id.
function Inventory:find(id)
  local items = redis.call('HGET', self.reservations, id)
  local deadline = redis.call('ZSCORE', self.deadlines, id)
  if items and deadline then
    return cjson.decode(items), tonumber(deadline)
  end
end

function Inventory:keep(id, items, deadline_ms)
  redis.call('HSET', self.reservations, id, cjson.encode(items))
  redis.call('ZADD', self.deadlines, deadline_ms, id)
end

function Inventory:forget(id)
  redis.call('HDEL', self.reservations, id)
  redis.call('ZREM', self.deadlines, id)
end

-- Puts the items of a reservation back on the shelf. It is forgotten first: whatever fails, nothing comes
-- back twice.
function Inventory:give_back(id)
  local items = self:find(id) or {}
  self:forget(id)
  for item, quantity in pairs(items) do
    redis.call('HINCRBY', self.stock, item, quantity)
  end
end

-- Takes back what is overdue.
function Inventory:sweep(now_ms)
  local overdue = redis.call('ZRANGEBYSCORE', self.deadlines, '-inf', now_ms, 'LIMIT', 0, SWEEP)
  for _, id in ipairs(overdue) do
    self:give_back(id)
  end
end

return Inventory
