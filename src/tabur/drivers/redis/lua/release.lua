-- ARGV: now, token or worker, which of both it is, whether it crashed, outcome's rest for those called
-- back. Answers how many were let go.
local name, of, crashed, rest = ARGV[2], ARGV[3], ARGV[4] == '1', ARGV[5]

local tokens = {name}
if of == 'worker' then
  tokens = {}
  local prefix = pack('>I2', #name) .. name
  for n, claim in ipairs(call('ZRANGEBYLEX', CLAIMS, '[' .. prefix, '[' .. prefix .. HIGHEST)) do
    tokens[n] = sub(claim, -16)
  end
end

local released = 0
for _, token in ipairs(tokens) do
  for _, id in ipairs(call('SMEMBERS', CLAIM .. token)) do
    local work = call('HGET', WORK, id)
    local called_back = kind_of(work) == 'c'
    if crashed then
      work = sub(work, 1, 17) .. pack('>I4', unpack_from('>I4', work, 18) + 1)
        .. sub(work, 22, 25) .. 'p' .. sub(work, 27)
    end
    if called_back then
      cancel_now(id, work, rest)
    else
      local lane = lane_of(work)
      end_claim(id, work)
      call('HSET', WORK, id, 'p' .. sub(work, 2, lane_end(work)))
      call('ZADD', RETURNED, 0, lane .. sub(work, 2, 9) .. id)
      call('ZADD', LANES, 0, lane)
      count('p', queue_of(lane), 1)
      woken = true
    end
    released = released + 1
  end
end
write_counts()
wake()
return released
