-- ARGV: 'one' or 'all', the bounds as ZREVRANGEBYLEX has them, and at most how many. Answers moment(8)
-- name, and what only the client reads, of each tick.
local key = ARGV[1] == 'one' and TICKS_OF or TICKS_DUE
local found = {}
for _, tick in ipairs(call('ZREVRANGEBYLEX', key, ARGV[2], ARGV[3], 'LIMIT', 0, ARGV[4])) do
  if ARGV[1] == 'one' then tick = sub(tick, -8) .. sub(tick, 1, -9) end
  found[#found + 1] = tick
  found[#found + 1] = call('HGET', TICKS, tick)
end
return found
