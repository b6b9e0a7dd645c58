-- Reserves several items for a limited time: all of them, or, if one is short, none. inventory/confirm.lua
-- sells them, inventory/release.lua gives them back; past its time a reservation is given back by the next
-- call of any of the three.
--
-- To send the same reservation again (after a lost reply, say) is harmless: it gets the same answer, and
-- its time runs on.
--
-- KEYS   stock         hash of items and what is free; fill it with HSET or HINCRBY
--        reservations  hash
--        deadlines     sorted set. All three in one slot: {shop}:stock {shop}:reservations {shop}:deadlines
-- ARGV   id            of the reservation, an order's number say
--        ttl_ms        for how long, up to a year
--        item, quantity, and so on, up to 500 items
-- reply  [reserved, deadline_ms]                    until that unix time, in milliseconds
--        [short, [item, wanted, available], ...]    these are short, nothing was reserved
--
-- description=Reserve several items for a limited time, all or none
-- tags=inventory
local Args = require('lib/args.lua')
local args = Args.of(sproc.name, KEYS, ARGV)
local inventory = require('lib/inventory.lua').of(args)
local id = args:text(1, 'id')
local ttl_ms = args:integer(2, 'ttl_ms', 1, Args.YEAR_MS)
args:text(3, 'item')
args:no_more(3, 2 + 2 * 500)

local names, wanted = {}, {}
for at = 3, #ARGV, 2 do
  local item = args:text(at, 'item')
  if wanted[item] then
    args:wrong(at, 'item', 'another than those before')
  end
  names[#names + 1] = item
  wanted[item] = args:integer(at + 1, 'quantity', 1, 1000000000)
end

local function as_wanted(items)
  local count = 0
  for item, quantity in pairs(items) do
    if wanted[item] ~= quantity then
      return false
    end
    count = count + 1
  end
  return count == #names
end

local now = Args.now_ms()
inventory:sweep(now)

local before, deadline = inventory:find(id)
if before and deadline <= now then -- there is more overdue than one sweep takes
  inventory:give_back(id)
elseif before and as_wanted(before) then
  return { 'reserved', deadline }
elseif before then
  args:wrong(1, 'id', 'new, since there is a reservation of other items by this one')
end

local short = {}
for _, item in ipairs(names) do
  local free = redis.call('HGET', inventory.stock, item) or '0'
  if not free:find('^%-?%d+$') then
    args:fail('the stock of each item must be an integer: HSET ' .. inventory.stock .. ' to put it right')
  elseif tonumber(free) < wanted[item] then
    short[#short + 1] = { item, wanted[item], tonumber(free) }
  end
end
if #short > 0 then
  return { 'short', unpack(short) }
end

for _, item in ipairs(names) do
  redis.call('HINCRBY', inventory.stock, item, -wanted[item])
end
inventory:keep(id, wanted, now + ttl_ms)
return { 'reserved', now + ttl_ms }
