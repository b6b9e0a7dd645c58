-- Registers what the parts serve.
local events
local function serve_event(name, ...)
  events = events or part('events')
  return events[name](...)
end

core.enqueue = function(name, keys, args) return serve_event('enqueue', name, keys, args) end

local function register(names, flags, serve)
  for place = 1, #names do -- ipairs is not there while a library loads
    local name = names[place]
    redis.register_function({
      function_name = name, flags = flags, callback = function(keys, args) return serve(name, keys, args) end,
    })
  end
end

register({ RUN, TICK, COVER, BEAT, LEAVE, BLIND, DISPATCH, CATCHUP, CRON, ENQUEUE, TAKE, FINISH, DUE, RETRY, EFFECT, CALL, JOB }, {}, serve_event)
register({ BOUND, SCHEDULES }, { 'no-writes' }, serve_event)
register({ ABOUT, COMPILE, INSPECT, VERIFY }, { 'no-writes' }, function(name, keys, args)
  return part('about')[name](keys, args)
end)
