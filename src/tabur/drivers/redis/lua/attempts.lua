-- ARGV: now, id. Answers its outcomes, oldest first.
local last = call('HGET', OUTCOMES, ARGV[2])
if not last then return {} end
local newest, found = unpack_from('>I4', last), {}
for n = math.max(1, newest - HISTORY + 1), newest - 1 do
  found[#found + 1] = call('HGET', OUTCOMES, field_of(ARGV[2], n))
end
found[#found + 1] = last
return found
