package foreign

import (
	"bytes"
	"encoding/binary"
	"math"

	"windrow/internal/h5"
)

// Element returns an element as int64, uint64 (of the type Uint64 alone),
// float64, or the bytes of text.
func Element(t h5.Type, b []byte) any {
	switch t.Kind {
	case h5.Float64:
		return math.Float64frombits(binary.LittleEndian.Uint64(b))
	case h5.Float32:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))
	case h5.Int64:
		return int64(binary.LittleEndian.Uint64(b)) //nolint:gosec // its bits
	case h5.Int32:
		return int64(int32(binary.LittleEndian.Uint32(b))) //nolint:gosec // its bits
	case h5.Int16:
		return int64(int16(binary.LittleEndian.Uint16(b))) //nolint:gosec // its bits
	case h5.Int8:
		return int64(int8(b[0])) //nolint:gosec // its bits
	case h5.Uint64:
		return binary.LittleEndian.Uint64(b)
	case h5.Uint32:
		return int64(binary.LittleEndian.Uint32(b))
	case h5.Uint16:
		return int64(binary.LittleEndian.Uint16(b))
	case h5.Uint8, h5.Bool:
		return int64(b[0])
	case h5.String, h5.Text, h5.VarText:
		return bytes.TrimRight(b, "\x00")
	}
	return nil
}
