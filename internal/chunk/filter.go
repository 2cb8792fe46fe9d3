package chunk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/klauspost/compress/flate"
)

// pipeline is HDF5's filters as they are applied to one chunk after another:
// shuffle, deflate, Fletcher32. It is used by one goroutine.
type pipeline struct {
	shuffled []byte
	header   [2]byte // of zlib
	deflate  *flate.Writer
	out      sink
	runs     runs
	tried    []byte // what is deflated only to see how long it is
}

// method is how the chunks of a stretch are deflated: for runs where that makes
// the first of them about as small. So equal chunks are equal bytes, whoever
// deflates them, and the choice costs little.
type method struct {
	chosen chan struct{} // closed when it is
	runs   bool
}

const (
	// stretch is for how many chunks a method is chosen.
	stretch = 64
	// sparse is the part of its size to which a chunk shrinks that says nothing of
	// the others, as one of padding: they are searched for sequences.
	sparse = 8
	// larger is by which part more it may be with runs.
	larger = 64
)

// sink is a slice to which is written.
type sink struct{ bytes []byte }

func (s *sink) Write(p []byte) (int, error) {
	s.bytes = append(s.bytes, p...)
	return len(p), nil
}

func newPipeline(level int) *pipeline {
	p := &pipeline{header: zlibHeader(level)}
	var err error
	if p.deflate, err = flate.NewWriter(&p.out, level); err != nil {
		panic("chunk: " + err.Error()) // no dataset has such a level
	}
	return p
}

// apply appends the chunk, filtered, to dst. There is a method where speed is
// all, and the first chunk of a stretch chooses it.
func (p *pipeline) apply(dst, chunk []byte, element int, m *method, chooses bool) []byte {
	p.shuffled = slices.Grow(p.shuffled[:0], len(chunk))[:len(chunk)]
	shuffle(p.shuffled, chunk, element)
	switch {
	case chooses:
		m.runs = p.prefersRuns(element)
		close(m.chosen)
	case m != nil:
		<-m.chosen
	}
	filtered := append(dst, p.header[:]...)
	if m != nil && m.runs {
		filtered = p.runs.deflate(filtered, p.shuffled, element)
	} else {
		filtered = p.search(filtered)
	}
	filtered = binary.BigEndian.AppendUint32(filtered, adler32(p.shuffled))
	return binary.LittleEndian.AppendUint32(filtered, fletcher32(filtered[len(dst):]))
}

// prefersRuns tells whether what is shuffled should be deflated for runs.
func (p *pipeline) prefersRuns(element int) bool {
	p.tried = p.search(p.tried[:0])
	searched := len(p.tried)
	p.tried = p.runs.deflate(p.tried[:0], p.shuffled, element)
	return searched > len(p.shuffled)/sparse && len(p.tried) <= searched+searched/larger
}

// search appends what is shuffled to dst, deflated with a search for sequences
// that come again.
func (p *pipeline) search(dst []byte) []byte {
	p.out.bytes = dst
	p.deflate.Reset(&p.out)
	_, _ = p.deflate.Write(p.shuffled) // a sink does not fail
	_ = p.deflate.Close()
	return p.out.bytes
}

// zlibHeader is what comes before deflated bytes in the format of RFC 1950: a
// window of 32 KiB, and of the level a hint.
func zlibHeader(level int) [2]byte {
	const method = 0x78
	hint := [10]byte{0, 0, 1, 1, 1, 1, 2, 3, 3, 3}[level] << 6
	return [2]byte{method, hint + byte(31-(method<<8+int(hint))%31)}
}

// inverse undoes what a pipeline does. It is used by one goroutine.
type inverse struct {
	shuffled []byte
	deflated bytes.Reader
	inflate  io.Reader // made when there is something to inflate
}

// apply fills the chunk with what was filtered.
func (p *inverse) apply(chunk, filtered []byte, element int) error {
	const header, adler, fletcher = 2, 4, 4
	end := len(filtered) - fletcher
	if end < header+adler {
		return fmt.Errorf("%d bytes are no deflated chunk with its checksums", len(filtered))
	}
	if got, want := fletcher32(filtered[:end]), binary.LittleEndian.Uint32(filtered[end:]); got != want {
		return fmt.Errorf("its checksum is %08x, stored with it is %08x", got, want)
	}
	if method := binary.BigEndian.Uint16(filtered); method>>8&0xF != 8 || method%31 != 0 || method&0x20 != 0 {
		return fmt.Errorf("inflate: it begins with %04x, not as zlib's format does", method)
	}
	p.deflated.Reset(filtered[header : end-adler])
	p.restart()
	p.shuffled = slices.Grow(p.shuffled[:0], len(chunk))[:len(chunk)]
	if _, err := io.ReadFull(p.inflate, p.shuffled); err != nil {
		return fmt.Errorf("inflate: %w", err)
	}
	var more [1]byte
	if _, err := p.inflate.Read(more[:]); !errors.Is(err, io.EOF) {
		return errors.Join(errors.New("inflate: more than a chunk"), err)
	}
	if n := p.deflated.Len(); n > 0 {
		return fmt.Errorf("inflate: %d bytes after the end", n)
	}
	if got, want := adler32(p.shuffled), binary.BigEndian.Uint32(filtered[end-adler:]); got != want {
		return fmt.Errorf("inflate: zlib's checksum is %08x, stored is %08x", got, want)
	}
	unshuffle(chunk, p.shuffled, element)
	return nil
}

// restart begins to inflate what is in deflated.
func (p *inverse) restart() {
	if r, ok := p.inflate.(flate.Resetter); ok {
		_ = r.Reset(&p.deflated, nil) // never an error
	} else {
		p.inflate = flate.NewReader(&p.deflated)
	}
}

// shuffle puts the first bytes of all elements before all second ones, and so
// on: bytes of equal weight are more alike than neighbours.
func shuffle(dst, src []byte, element int) {
	switch n := len(src) / element; element {
	case 1:
		copy(dst, src)
	case 8:
		shuffle8(dst, src, n)
	default:
		for b := range element {
			plane := dst[b*n : (b+1)*n]
			for i := range plane {
				plane[i] = src[i*element+b]
			}
		}
	}
}

// unshuffle is the inverse of shuffle.
func unshuffle(dst, src []byte, element int) {
	switch n := len(src) / element; element {
	case 1:
		copy(dst, src)
	case 8:
		unshuffle8(dst, src, n)
	default:
		for b := range element {
			for i, v := range src[b*n : (b+1)*n] {
				dst[i*element+b] = v
			}
		}
	}
}

// shuffle8 is shuffle of n elements of 8 bytes, most of all data.
func shuffle8(dst, src []byte, n int) {
	i := 0
	for ; i+8 <= n; i += 8 {
		s := src[8*i : 8*i+64]
		a, b, c, d, e, f, g, h := turn(word(s, 0), word(s, 1), word(s, 2), word(s, 3), word(s, 4), word(s, 5), word(s, 6), word(s, 7))
		for k, plane := range [8]uint64{a, b, c, d, e, f, g, h} {
			binary.LittleEndian.PutUint64(dst[k*n+i:], plane)
		}
	}
	for ; i < n; i++ {
		for k := range 8 {
			dst[k*n+i] = src[8*i+k]
		}
	}
}

// unshuffle8 is its inverse: to turn twice changes nothing.
func unshuffle8(dst, src []byte, n int) {
	i := 0
	for ; i+8 <= n; i += 8 {
		var planes [8]uint64
		for k := range planes {
			planes[k] = binary.LittleEndian.Uint64(src[k*n+i:])
		}
		a, b, c, d, e, f, g, h := turn(planes[0], planes[1], planes[2], planes[3], planes[4], planes[5], planes[6], planes[7])
		for k, element := range [8]uint64{a, b, c, d, e, f, g, h} {
			binary.LittleEndian.PutUint64(dst[8*(i+k):], element)
		}
	}
	for ; i < n; i++ {
		for k := range 8 {
			dst[8*i+k] = src[k*n+i]
		}
	}
}

// turn turns 8 words of 8 bytes, a matrix of 8 by 8 bytes, over its diagonal:
// in blocks of 4 by 4, of 2 by 2, and of single bytes.
//
//nolint:gocritic // in registers, which an array is not
func turn(a, b, c, d, e, f, g, h uint64) (_, _, _, _, _, _, _, _ uint64) {
	a, e = swap(a, e, 32, 0x00000000FFFFFFFF)
	b, f = swap(b, f, 32, 0x00000000FFFFFFFF)
	c, g = swap(c, g, 32, 0x00000000FFFFFFFF)
	d, h = swap(d, h, 32, 0x00000000FFFFFFFF)
	a, c = swap(a, c, 16, 0x0000FFFF0000FFFF)
	b, d = swap(b, d, 16, 0x0000FFFF0000FFFF)
	e, g = swap(e, g, 16, 0x0000FFFF0000FFFF)
	f, h = swap(f, h, 16, 0x0000FFFF0000FFFF)
	a, b = swap(a, b, 8, 0x00FF00FF00FF00FF)
	c, d = swap(c, d, 8, 0x00FF00FF00FF00FF)
	e, f = swap(e, f, 8, 0x00FF00FF00FF00FF)
	g, h = swap(g, h, 8, 0x00FF00FF00FF00FF)
	return a, b, c, d, e, f, g, h
}

func word(s []byte, k int) uint64 { return binary.LittleEndian.Uint64(s[8*k:]) }

// swap exchanges the high halves of the fields of a with the low halves of
// those of b; low masks the low ones, which have shift bits.
func swap(a, b uint64, shift int, low uint64) (uint64, uint64) {
	t := (a>>shift ^ b) & low
	return a ^ t<<shift, b ^ t
}

// most is after how many bytes the sums of a checksum are reduced: both fit in
// 64 bits until then.
const most = 1 << 20

// fletcher32 is the checksum of H5Z_FILTER_FLETCHER32: over 16-bit words whose
// first byte is the high one, a last odd byte among them.
func fletcher32(data []byte) uint32 {
	const words = 0x0000FFFF0000FFFF
	var a, b uint64
	for len(data) > 1 {
		part := data[:min(len(data)&^1, most)]
		data = data[len(part):]
		for ; len(part) >= 16; part = part[16:] { // as below, 8 times: a product's upper half is a sum of two
			v, w := binary.BigEndian.Uint64(part), binary.BigEndian.Uint64(part[8:])
			v0, v1, w0, w1 := v>>16&words, v&words, w>>16&words, w&words
			b += 8*a + (v0*0x0000000600000008+v1*0x0000000500000007+w0*0x0000000200000004+w1*0x0000000100000003)>>32
			sum := v0 + v1 + w0 + w1
			a += sum>>32 + sum&0xFFFFFFFF
		}
		for ; len(part) >= 2; part = part[2:] {
			a += uint64(binary.BigEndian.Uint16(part))
			b += a
		}
		a, b = fold(a), fold(b)
	}
	if len(data) == 1 {
		a += uint64(data[0]) << 8
		b += a
	}
	return uint32(fold(b)<<16 | fold(a)) //nolint:gosec // below 2^32
}

// fold adds the 16-bit words of a sum until there is one: HDF5's 0 is that of
// no words but zeros, and 65535 any other multiple of 65535.
func fold(sum uint64) uint64 {
	if sum > 0 && sum%0xFFFF == 0 {
		return 0xFFFF
	}
	return sum % 0xFFFF
}

// adler32 is the checksum of zlib's format (RFC 1950): hash/adler32's takes
// twice as long.
func adler32(data []byte) uint32 {
	const (
		mod   = 65521
		bytes = 0x00FF00FF00FF00FF
		ones  = 0x0001000100010001
	)
	a, b := uint64(1), uint64(0)
	for len(data) > 0 {
		part := data[:min(len(data), most)]
		data = data[len(part):]
		for ; len(part) >= 16; part = part[16:] { // as below, 16 times: a product's highest field is a sum of four
			v, w := binary.LittleEndian.Uint64(part), binary.LittleEndian.Uint64(part[8:])
			v0, v1, w0, w1 := v&bytes, v>>8&bytes, w&bytes, w>>8&bytes
			b += 16*a + (v0*0x0010000E000C000A+v1*0x000F000D000B0009+w0*0x0008000600040002+w1*0x0007000500030001)>>48
			a += (v0 + v1 + w0 + w1) * ones >> 48
		}
		for _, v := range part {
			a += uint64(v)
			b += a
		}
		a, b = a%mod, b%mod
	}
	return uint32(b<<16 | a) //nolint:gosec // below 2^32
}
