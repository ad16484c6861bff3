-- ARGV: now, then id, stand and record of each job.
for first = 2, #ARGV, 3000 do
  add(ARGV, first, math.min(first + 2999, #ARGV))
end
write_lanes()
write_counts()
wake()
