-- Gives the items of a reservation back. To do it twice does no harm.
--
-- KEYS   stock, reservations, deadlines, as in inventory/reserve.lua
-- ARGV   id   of the reservation
-- reply  1, or 0 when there is no such reservation: given back before, sold, past its time, or never made
--
-- description=Give a reservation's items back
-- tags=inventory
local Args = require('lib/args.lua')
local args = Args.of(sproc.name, KEYS, ARGV)
local inventory = require('lib/inventory.lua').of(args)
local id = args:text(1, 'id')
args:no_more(3, 1)

local now = Args.now_ms()
local items, deadline = inventory:find(id)
if items then
  inventory:give_back(id)
end
inventory:sweep(now)
return items and deadline > now and 1 or 0
