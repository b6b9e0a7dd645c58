-- Sells what a reservation holds: the reservation ends, and its items don't come back. Ask for the money
-- only after a 1. A second call answers 0 as well: where replies can get lost, wrap it in
-- idempotency/claim.lua.
--
-- KEYS   stock, reservations, deadlines, as in inventory/reserve.lua
-- ARGV   id   of the reservation
-- reply  1, or 0 when there is no such reservation: sold before, given back, past its time, or never made
--
-- description=Sell what a reservation holds
-- tags=inventory
local Args = require('lib/args.lua')
local args = Args.of(sproc.name, KEYS, ARGV)
local inventory = require('lib/inventory.lua').of(args)
local id = args:text(1, 'id')
args:no_more(3, 1)

local now = Args.now_ms()
local items, deadline = inventory:find(id)
local in_time = items and deadline > now
if in_time then
  inventory:forget(id)
end
inventory:sweep(now)
return in_time and 1 or 0
