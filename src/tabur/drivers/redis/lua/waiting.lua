-- Takes pending jobs off the lanes of one queue, or of all where `queue` is ''; at most `limit` entries
-- are looked at. Each goes to `to(id, work)`. Answers whether lanes are left.
local function off_lanes(queue, limit, to)
  for _, lane in ipairs(call('ZRANGE', LANES, 0, -1)) do
    if queue == '' or queue_of(lane) == queue then
      while limit > 0 do
        local back = call('ZRANGEBYLEX', RETURNED, '[' .. lane, '[' .. lane .. HIGHEST, 'LIMIT', 0, limit)
        if #back > 0 then call('ZREM', RETURNED, unpack(back)) end
        local entries = back
        for n = 1, #back do entries[n] = sub(back[n], #lane + 1) end
        if #entries == 0 then entries = call('LPOP', LANE .. lane, limit) end
        if not entries then
          call('ZREM', LANES, lane)
          break
        end
        limit = limit - #entries
        for _, entry in ipairs(entries) do
          local id = sub(entry, 9)
          local work = call('HGET', WORK, id)
          if work and kind_of(work) == 'p' and sub(work, 2, 9) == sub(entry, 1, 8) then
            to(id, work)
          end
        end
      end
      if limit <= 0 then return 1 end
    end
  end
  return 0
end
