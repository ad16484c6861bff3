-- ARGV: now, at most how many. Answers now, the names and values of those that are due, and when the
-- next one will be (or '').
local now = tonumber(ARGV[1])
if not now then
  local time = call('TIME')
  now = time[1] * 1000000 + time[2]
end
local moment = string.format('%.0f', now)
local due = call('ZRANGEBYSCORE', SCHEDULES_DUE, '-inf', moment, 'LIMIT', 0, ARGV[2])
local later = call(
  'ZRANGEBYSCORE', SCHEDULES_DUE, '(' .. moment, '+inf', 'WITHSCORES', 'LIMIT', 0, 1
)
return {now, with_values(due), later[2] or ''}
