-- release: entries that a list no longer counts.
if not marked() then
  return {'BROKEN'}
end
for n = 2, #ARGV do
  redis.call('LREM', KEYS[2], 0, ARGV[n])
end
return {'OK'}
