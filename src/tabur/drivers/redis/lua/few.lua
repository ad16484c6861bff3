-- ARGV: now, kinds of unfinished jobs, how many ids may be answered. Answers the ids of all that are of
-- these kinds, perhaps others with them; nothing where too many would have to be looked at.
local kinds, most, found = ARGV[2], tonumber(ARGV[3]), {}

local function gather(ids)
  for _, id in ipairs(ids) do found[#found + 1] = sub(id, -16) end
end

local function has(kind)
  return string.find(kinds, kind, 1, true)
end

local looked = (has('s') and call('ZCARD', DUE) or 0)
  + (has('b') and call('SCARD', BLOCKED) + call('SCARD', TAKEN) or 0)
local lanes = has('p') and call('ZRANGE', LANES, 0, -1) or {}
for _, lane in ipairs(lanes) do looked = looked + call('LLEN', LANE .. lane) end
if looked > most then return false end

if has('s') then gather(call('ZRANGE', DUE, 0, -1)) end
if has('b') then
  gather(call('SMEMBERS', BLOCKED))
  gather(call('SMEMBERS', TAKEN))
end
if has('p') then
  gather(call('ZRANGE', RETURNED, 0, -1))
  for _, lane in ipairs(lanes) do gather(call('LRANGE', LANE .. lane, 0, -1)) end
end
if has('r') then
  for _, claim in ipairs(call('ZRANGE', CLAIMS, 0, -1)) do
    gather(call('SMEMBERS', CLAIM .. sub(claim, -16)))
  end
end
return found
