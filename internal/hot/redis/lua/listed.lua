-- listed: the families of a session.
if not marked() then
  return {'BROKEN'}
end
return {'OK', unpack(redis.call('ZRANGE', KEYS[2], 0, 999))}
