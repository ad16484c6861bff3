-- Answers now, how many restarts, the moment, and the pauses.
return {now, call('GET', EPOCH) or 0, call('GET', MOMENT) or 0, call('HGETALL', PAUSES)}
