-- read: a record as it is. What a server has come back with after a restart is not read either.
if not unbroken() then
  return {'BROKEN'}
end
return {'OK', redis.call('GET', KEYS[2])}
