-- ARGV: now, how many moves; of each move name, revision(8), seen, next_run_at and waiting (8 each), and
-- how many ticks: of each its moment(8), what only the client reads, its job (or ''), and where it was
-- dispatched last_run_at(8) last_job(16) (or ''); then how many jobs: id, stand and record of each.
-- Answers 1 or 0 for each move.
local at, answers, jobs = 3, {}, {}
for move = 1, tonumber(ARGV[2]) do
  local name, revision, seen = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local next_run_at, waiting = ARGV[at + 3], ARGV[at + 4]
  local stored = call('HGET', SCHEDULES, name)
  local stands = stored and sub(stored, 1, 8) == revision
    and sub(stored, 9, 16) == seen and sub(stored, 17, 17) == '1'
  local ran, decided = nil, {}
  local first = at + 6
  at = first + 4 * tonumber(ARGV[at + 5])
  if stands then
    for n = first, at - 1, 4 do
      local due, job = ARGV[n], ARGV[n + 2]
      if call('HSETNX', TICKS, due .. name, ARGV[n + 1]) == 1 then
        call('ZADD', TICKS_DUE, 0, due .. name)
        call('ZADD', TICKS_OF, 0, name .. due)
        decided[job] = true
        if ARGV[n + 3] ~= '' then ran = ARGV[n + 3] end
      end
    end
    keep(name, revision .. next_run_at .. sub(stored, 17, 18) .. waiting
      .. (ran or sub(stored, 27, 50)) .. sub(stored, 51))
  end
  first = at + 1
  at = first + 3 * tonumber(ARGV[at])
  for n = first, at - 1, 3 do
    if decided[ARGV[n]] then
      for k = n, n + 2 do jobs[#jobs + 1] = ARGV[k] end
    end
  end
  answers[move] = stands and 1 or 0
end
for first = 1, #jobs, 3000 do
  add(jobs, first, math.min(first + 2999, #jobs), admit)
end
write_bound()
finish()
return answers
