-- What the scripts of control share. KEYS: epoch, moment, pauses. ARGV: now, and what each adds.
-- pauses: queue → since(8), and what only the client reads. The hold is the field without a name.
local call, pack = redis.call, struct.pack
local EPOCH, MOMENT, PAUSES = KEYS[1], KEYS[2], KEYS[3]

local now = tonumber(ARGV[1])
if not now then
  local time = call('TIME')
  now = time[1] * 1000000 + time[2]
end

-- Answers the moment that is kept then.
local function advance()
  local kept = tonumber(call('GET', MOMENT) or 0)
  if kept >= now then return kept end
  call('DEL', MOMENT) -- as in exchange.lua: supervisors do this unasked, with a full memory too
  call('SET', MOMENT, string.format('%.0f', now))
  return now
end
