-- ARGV: now, ids. Answers id, work and record of those that are taken out.
local taken = {}
for n = 2, #ARGV do
  local id = ARGV[n]
  if call('SISMEMBER', TAKEN, id) == 1 then
    for _, each in ipairs({id, call('HGET', WORK, id), call('HGET', JOBS, id)}) do
      taken[#taken + 1] = each
    end
  end
end
return taken
