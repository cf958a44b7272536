-- publish: entries at the end of the feed. They are numbered without a gap, so that whoever reads
-- sees one that was trimmed. ARGV: the mark, how many the feed keeps at least, the entries.
if not unbroken() then
  return {'BROKEN'}
end
last() -- where there is none, the feed begins
for i = 3, #ARGV do
  local n = redis.call('INCR', KEYS[3])
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], string.format('%.0f-0', n), 'c', ARGV[i])
end
kept()
return {'OK'}
