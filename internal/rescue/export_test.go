package rescue

var NumberOf = numberOf
