-- How fast Lua's collector goes. Every 50 calls the server has it do a fixed number of steps, each as large as `setstepmul` says: as Lua sets it
-- (200) that is 8% of the time of a small call. While little is in use a step does an eighth; what a sproc leaves may then take up to four
-- times as much before it is collected. Once much is in use, Lua's own pace is best.
local MUCH_KB = 16 * 1024

return function()
  pcall(function() collectgarbage('setstepmul', collectgarbage('count') < MUCH_KB and 25 or 200) end)
end
