-- Schedules: a sproc runs once for each of its times, however many daemons ask.

return serve
