-- ARGV: now, id, outcome's rest. Answers x cancelled, c called back, f finished, u unknown.
local answer = cancel(ARGV[2], ARGV[3])
finish()
return answer
