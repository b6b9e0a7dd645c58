-- Writes down each tick, newest first: the last hundred stay in the list ttlLst. The schedule gives a sproc
-- no keys, so the list is named here.
--
-- ARGV   the unix time that the tick was due at (the server's own time when called by hand)
-- reply  the length of the list
--
-- description=Every 15 seconds, put the time into the list ttlLst
-- tags=first
-- cron=*/15 * * * * *
local KEEP = 100

redis.call('LPUSH', 'ttlLst', ARGV[1] or redis.call('TIME')[1])
redis.call('LTRIM', 'ttlLst', 0, KEEP - 1)
return redis.call('LLEN', 'ttlLst')
