-- ARGV: of which origin the others are to be removed (or ''), how many names are to stay, these names;
-- then of each schedule its name, the revision(8) that is to be stored (0: none), and its value.
-- Answers how many were made or changed.
local origin, staying, changed = ARGV[1], tonumber(ARGV[2]), 0
for n = 3 + staying, #ARGV, 3 do
  local name, seen, value = ARGV[n], ARGV[n + 1], ARGV[n + 2]
  local stored = call('HGET', SCHEDULES, name)
  if (stored and sub(stored, 1, 8) or NO_MOMENT) == seen then
    if stored then
      value = sub(value, 1, 26) .. sub(stored, 27, 50) .. sub(value, 51)
    end
    keep(name, value)
    if stored then call('SREM', OF_ORIGIN[sub(stored, 18, 18)], name) end
    call('SADD', OF_ORIGIN[sub(value, 18, 18)], name)
    call('ZADD', NAMES, 0, name)
    changed = changed + 1
  end
end
if origin ~= '' then
  local stays = {}
  for n = 3, 2 + staying do stays[ARGV[n]] = true end
  for _, name in ipairs(call('SMEMBERS', OF_ORIGIN[origin])) do
    if not stays[name] then remove(name) end
  end
end
return changed
