-- change: a record from what the caller has read and judged to what it is then, if it is as it was.
-- Each record is sealed under a nonce of its own, so that no two are the same: who repeats a
-- change that was done is told that it was. ARGV: the mark, the old record, the new one, its life
-- in ms ('' leaves it as it was).
if not unbroken() then
  return {'BROKEN'}
end
local there = redis.call('GET', KEYS[2])
if there == ARGV[3] then
  return {'OK'}
elseif there ~= ARGV[2] then
  return {'CHANGED'}
end
if ARGV[4] == '' then
  redis.call('SET', KEYS[2], ARGV[3], 'KEEPTTL')
else
  redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[4])
end
return {'OK'}
