-- ARGV: now. Answers queue and record of the first job of each lane.
local answer = {}
for _, lane in ipairs(call('ZRANGE', LANES, 0, -1)) do
  local back = call('ZRANGEBYLEX', RETURNED, '[' .. lane, '[' .. lane .. HIGHEST, 'LIMIT', 0, 1)[1]
  local entries = call('LRANGE', LANE .. lane, 0, 99)
  if back then table.insert(entries, 1, sub(back, #lane + 1)) end
  for _, entry in ipairs(entries) do
    local id = sub(entry, 9)
    local work = call('HGET', WORK, id)
    if work and kind_of(work) == 'p' and sub(work, 2, 9) == sub(entry, 1, 8) then
      local record = call('HGET', JOBS, id)
      local at = 8 + byte(record, 2) * 256 + byte(record, 3)
      answer[#answer + 1] = queue_of(lane)
      answer[#answer + 1] = sub(record, 1, at + 3 + unpack_from('>I4', record, at))
      break
    end
  end
end
return answer
