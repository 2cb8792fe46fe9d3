package form

// Number tells what kind of number a text is.
type Number uint8

// The kinds of numbers: none, digits alone, or with a point or an exponent.
const (
	NotANumber Number = iota
	WholeNumber
	RealNumber
)

// NumberKind tells whether s is a number as JSON writes it: no plus sign, no
// leading zeros, digits on both sides of a point. Everything else is text.
func NumberKind(s string) Number {
	rest := s
	if rest != "" && rest[0] == '-' {
		rest = rest[1:]
	}
	whole := digits(rest)
	if whole == 0 || whole > 1 && rest[0] == '0' {
		return NotANumber
	}
	rest, kind := rest[whole:], WholeNumber
	if rest != "" && rest[0] == '.' {
		n := digits(rest[1:])
		if n == 0 {
			return NotANumber
		}
		rest, kind = rest[1+n:], RealNumber
	}
	if rest != "" && (rest[0] == 'e' || rest[0] == 'E') {
		rest, kind = rest[1:], RealNumber
		if rest != "" && (rest[0] == '+' || rest[0] == '-') {
			rest = rest[1:]
		}
		n := digits(rest)
		if n == 0 {
			return NotANumber
		}
		rest = rest[n:]
	}
	if rest != "" {
		return NotANumber
	}
	return kind
}

// digits returns the number of digits that s starts with.
func digits(s string) int {
	for i, r := range []byte(s) {
		if r < '0' || r > '9' {
			return i
		}
	}
	return len(s)
}
