-- Answers the moment.
return advance()
