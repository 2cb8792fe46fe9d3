package rescue

import (
	"encoding/binary"
	"math"
	"slices"

	"windrow/internal/foreign"
	"windrow/internal/h5"
)

// Integers by their size: the one at i+1 without a sign fits in none at i.
var (
	signed   = []h5.Kind{h5.Int8, h5.Int16, h5.Int32, h5.Int64}
	unsigned = []h5.Kind{h5.Uint8, h5.Uint16, h5.Uint32, h5.Uint64}
)

func isInteger(t h5.Type) bool {
	return slices.Contains(signed, t.Kind) || slices.Contains(unsigned, t.Kind)
}

func isNumber(t h5.Type) bool { return isFloat(t) || isInteger(t) }

// widest returns the type of number that holds all values of both: of two
// floats, or of two integers if 64 bits are enough.
func widest(a, b h5.Type) (h5.Type, bool) {
	switch {
	case a == b:
		return a, true
	case isFloat(a) && isFloat(b):
		return h5.Type{Kind: h5.Float64}, true
	case !isInteger(a) || !isInteger(b):
		return h5.Type{}, false
	}
	s := max(slices.Index(signed, a.Kind), slices.Index(signed, b.Kind))
	u := max(slices.Index(unsigned, a.Kind), slices.Index(unsigned, b.Kind))
	switch {
	case s < 0:
		return h5.Type{Kind: unsigned[u]}, true
	case s > u:
		return h5.Type{Kind: signed[s]}, true
	case u+1 < len(signed):
		return h5.Type{Kind: signed[u+1]}, true
	}
	return h5.Type{}, false
}

// convert returns numbers in a type that holds them: see widest.
func convert(to, from h5.Type, numbers []byte) []byte {
	converted := make([]byte, 0, len(numbers)/from.Bytes()*to.Bytes())
	for element := range slices.Chunk(numbers, from.Bytes()) {
		switch x := foreign.Element(from, element).(type) {
		case float64:
			converted = binary.LittleEndian.AppendUint64(converted, math.Float64bits(x))
		case uint64:
			converted = binary.LittleEndian.AppendUint64(converted, x)
		case int64:
			var whole [8]byte
			binary.LittleEndian.PutUint64(whole[:], uint64(x)) //nolint:gosec // its bits
			converted = append(converted, whole[:to.Bytes()]...)
		}
	}
	return converted
}
