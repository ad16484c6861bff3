-- ARGV: now, token or worker, which of both it is, outcome's rest for those called back, whom a crash
-- blames (none, all, some); and with a crash outcome's rest before and behind the moment of the claim,
-- then the ids of some. Answers how many were let go.
local name, of, rest, whom, before, behind = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local blamed = {}
for n = 8, #ARGV do blamed[ARGV[n]] = true end

local tokens = {name}
if of == 'worker' then
  tokens = {}
  local prefix = pack('>I2', #name) .. name
  for n, claim in ipairs(call('ZRANGEBYLEX', CLAIMS, '[' .. prefix, '[' .. prefix .. HIGHEST)) do
    tokens[n] = sub(claim, -16)
  end
end

-- Without its token, by which a settle that comes again is known: one of this claim is stale.
local function blame(id, work)
  local last = lane_end(work)
  local rest = before .. sub(work, last + 17, last + 24) .. behind
  remember(id, 'r' .. pack('>I8', now()) .. NO_TOKEN .. sub(work, 10, 13) .. rest)
  return sub(work, 1, 17) .. pack('>I4', unpack_from('>I4', work, 18) + 1)
    .. sub(work, 22, 25) .. 'p' .. sub(work, 27)
end

local released = 0
for _, token in ipairs(tokens) do
  for _, id in ipairs(call('SMEMBERS', CLAIM .. token)) do
    local work = call('HGET', WORK, id)
    local called_back = kind_of(work) == 'c'
    if whom == 'all' or blamed[id] then work = blame(id, work) end
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
finish()
return released
