-- publish: entries at the end of the feed. They are numbered without a gap, so that whoever reads
-- sees one that was trimmed. ARGV: the mark, how many the feed keeps at least, the entries.
if not unbroken() then
  return {'BROKEN'}
end
local n
for i = 3, #ARGV do
  n = redis.call('INCR', KEYS[3])
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], n .. '-0', 'c', ARGV[i])
end
return {'OK', n}
