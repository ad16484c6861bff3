-- ARGV: now, worker. Answers id and token of each claim.
local prefix, held = pack('>I2', #ARGV[2]) .. ARGV[2], {}
for _, claim in ipairs(call('ZRANGEBYLEX', CLAIMS, '[' .. prefix, '[' .. prefix .. HIGHEST)) do
  for _, id in ipairs(call('SMEMBERS', CLAIM .. sub(claim, -16))) do
    held[#held + 1] = id
    held[#held + 1] = sub(claim, -16)
  end
end
return held
