-- delist: families that a session no longer has.
if not marked() then
  return {'BROKEN'}
end
for n = 2, #ARGV do
  redis.call('ZREM', KEYS[2], ARGV[n])
end
return {'OK'}
