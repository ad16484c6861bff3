-- ARGV: now, 'payload' or '', ids. Answers record, work, last outcome and progress of each.
local whole, ids, answer = ARGV[2] == 'payload', {}, {}
for n = 3, #ARGV do ids[n - 2] = ARGV[n] end
local records = many_of('HMGET', JOBS, ids)
local works = many_of('HMGET', WORK, ids)
local outcomes = many_of('HMGET', OUTCOMES, ids)
local progress = many_of('HMGET', PROGRESS, ids)
for n = 1, #ids do
  local record = records[n]
  if record and not whole then
    local at = 8 + byte(record, 2) * 256 + byte(record, 3)
    record = sub(record, 1, at + 3 + unpack_from('>I4', record, at))
  end
  for _, each in ipairs({record, works[n], outcomes[n], progress[n]}) do answer[#answer + 1] = each end
end
return answer
