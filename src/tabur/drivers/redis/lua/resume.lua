-- ARGV: now, queue. Answers now and the pause that was there; the moment advances with the end of the
-- hold.
local queue = ARGV[2]
local pause = call('HGET', PAUSES, queue)
if pause then
  call('HDEL', PAUSES, queue)
  if queue == '' then advance() end
end
return {now, pause}
