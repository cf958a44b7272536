-- read: a record as it is. Nothing is decided by it that change.lua does not hold against it.
if not marked() then
  return {'BROKEN'}
end
return {'OK', redis.call('GET', KEYS[2])}
