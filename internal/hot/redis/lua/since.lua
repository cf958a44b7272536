-- since: where the feed ends, and at most ARGV[3] entries after number ARGV[2].
if not unbroken() then
  return {'BROKEN'}
end
local last = tonumber(redis.call('GET', KEYS[3]) or 0)
local out = {'OK', last}
if tonumber(ARGV[2]) < last then
  for _, entry in ipairs(redis.call('XRANGE', KEYS[2], '(' .. ARGV[2] .. '-0', '+', 'COUNT', ARGV[3])) do
    out[#out + 1] = entry[1]
    out[#out + 1] = entry[2][2]
  end
end
return out
