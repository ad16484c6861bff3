-- Takes pending jobs off the lanes of one queue, or of all where `queue` is ''; at most `limit` entries
-- are looked at. Each goes to `to(id, work)`; one for which that answers true is left, and stands with
-- those that were released. Of these, what is not behind `after` is passed over. Answers whether lanes
-- are left, and where it stopped.
local function off_lanes(queue, limit, to, after)
  local from = after and '[' .. sub(after, 1, -25) or '-'
  for _, lane in ipairs(call('ZRANGEBYLEX', LANES, from, '+')) do
    if queue == '' or queue_of(lane) == queue then
      while limit > 0 do
        local first = after and sub(after, 1, -25) == lane and '(' .. after or '[' .. lane
        local back = call('ZRANGEBYLEX', RETURNED, first, '[' .. lane .. HIGHEST, 'LIMIT', 0, limit)
        local entries, left = back, {}
        if #back > 0 then
          after = back[#back]
          call('ZREM', RETURNED, unpack(back))
        end
        for n = 1, #back do entries[n] = sub(back[n], #lane + 1) end
        if #entries == 0 then entries = call('LPOP', LANE .. lane, limit) end
        if not entries then
          local still = call('ZRANGEBYLEX', RETURNED, '[' .. lane, '[' .. lane .. HIGHEST, 'LIMIT', 0, 1)
          if #still == 0 then call('ZREM', LANES, lane) end
          break
        end
        limit = limit - #entries
        for _, entry in ipairs(entries) do
          local id = sub(entry, 9)
          local work = call('HGET', WORK, id)
          if work and kind_of(work) == 'p' and sub(work, 2, 9) == sub(entry, 1, 8) and to(id, work) then
            left[#left + 1] = 0
            left[#left + 1] = lane .. entry
          end
        end
        many('ZADD', RETURNED, left)
      end
      if limit <= 0 then return 1, after end
    end
  end
  return 0, after
end
