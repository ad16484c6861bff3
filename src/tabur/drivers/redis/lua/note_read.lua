-- ARGV: the bounds as ZRANGEBYLEX has them. Answers name and value of each.
local found = {}
for _, name in ipairs(call('ZRANGEBYLEX', NAMES, ARGV[1], ARGV[2])) do
  found[#found + 1] = name
  found[#found + 1] = call('HGET', NOTES, name)
end
return found
