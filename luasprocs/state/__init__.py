"""What stands in Redis beside the registry: executions, stats, jobs, daemons, schedules, requests."""
