-- ARGV: now, queue, what only the client reads. A hold that is there stays.
local command = ARGV[2] == '' and 'HSETNX' or 'HSET'
return call(command, PAUSES, ARGV[2], pack('>I8', now) .. ARGV[3])
