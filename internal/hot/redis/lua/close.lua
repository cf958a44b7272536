-- close: the end of a family, whatever it was; ARGV[3] ms long it cannot be stored again.
if not unbroken() then
  return {'BROKEN'}
end
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
return {'OK'}
