-- ARGV: now, then id and token of each claim.
for n = 2, #ARGV, 2 do
  local id = ARGV[n]
  local bonds = call('HGET', BONDS, id)
  if bonds and holds(bonds) == 's' then
    local work = call('HGET', WORK, id)
    if work and is_held(work, ARGV[n + 1]) then free(id, bonds) end
  end
end
