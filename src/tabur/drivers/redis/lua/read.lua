-- ARGV: now, 'payload' or '', states that count (or '': kinds of work in small letters, endings in
-- capitals), queue (or ''), number of texts, the texts, ids.
-- A job counts if it bears every text somewhere in what is known about it; the client looks closer.
-- Answers how many ids were looked at, then id, record, work, last outcome and progress of each job
-- that counts. Stops early at large records, so that it stays short.
local LARGE = 4000000
local whole, states, queue, texts = ARGV[2] == 'payload', ARGV[3], ARGV[4], tonumber(ARGV[5])

local function bears_all(about)
  for n = 6, 5 + texts do
    if not string.find(about, ARGV[n], 1, true) then return false end
  end
  return true
end

local function is_wanted(kind)
  if kind == 'c' then kind = 'r' elseif kind == 't' then kind = 'b' end
  return string.find(states, kind, 1, true)
end

local ids, found, size, looked = {}, {}, 0, 0
for n = 6 + texts, #ARGV do ids[#ids + 1] = ARGV[n] end
local works = many_of('HMGET', WORK, ids)
for n, id in ipairs(ids) do
  local work, outcome = works[n], nil
  looked = n
  local counts = states == '' or (work and is_wanted(sub(work, 1, 1)))
  if not counts and not work and string.find(states, '%u') then
    outcome = call('HGET', OUTCOMES, id)
    counts = outcome and string.find(states, string.upper(sub(outcome, 5, 5)), 1, true)
  end
  local record = counts and call('HGET', JOBS, id)
  if record then
    size = size + #record
    local at = 8 + byte(record, 2) * 256 + byte(record, 3)
    local last = at + 3 + unpack_from('>I4', record, at)
    if (queue == '' or sub(record, 4, at - 5) == queue)
      and (texts == 0 or bears_all(sub(record, at + 4, last))) then
      if outcome == nil then outcome = call('HGET', OUTCOMES, id) end
      if not whole then record = sub(record, 1, last) end
      for _, each in ipairs({id, record, work, outcome, call('HGET', PROGRESS, id)}) do
        found[#found + 1] = each
      end
      size = size + (outcome and #outcome or 0)
    end
    if size > LARGE then break end
  end
end
return {looked, found}
