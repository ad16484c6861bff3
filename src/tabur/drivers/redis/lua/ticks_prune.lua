-- ARGV: the bound as ZRANGEBYLEX has it, and at most how many. Answers how many were removed.
local old = call('ZRANGEBYLEX', TICKS_DUE, '-', ARGV[1], 'LIMIT', 0, ARGV[2])
for _, tick in ipairs(old) do
  call('HDEL', TICKS, tick)
  call('ZREM', TICKS_DUE, tick)
  call('ZREM', TICKS_OF, sub(tick, 9) .. sub(tick, 1, 8))
end
return #old
