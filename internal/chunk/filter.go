package chunk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/klauspost/compress/zlib"
)

// pipeline is HDF5's filters as they are applied to one chunk after another:
// shuffle, deflate, Fletcher32. It is used by one goroutine.
type pipeline struct {
	shuffled []byte
	deflate  *zlib.Writer
	out      sink
}

// sink is a slice to which is written.
type sink struct{ bytes []byte }

func (s *sink) Write(p []byte) (int, error) {
	s.bytes = append(s.bytes, p...)
	return len(p), nil
}

func newPipeline(level int) *pipeline {
	p := &pipeline{}
	var err error
	if p.deflate, err = zlib.NewWriterLevel(&p.out, level); err != nil {
		panic("chunk: " + err.Error()) // no dataset has such a level
	}
	return p
}

// apply appends the chunk, filtered, to dst.
func (p *pipeline) apply(dst, chunk []byte, element int) []byte {
	p.shuffled = slices.Grow(p.shuffled[:0], len(chunk))[:len(chunk)]
	shuffle(p.shuffled, chunk, element)
	p.out.bytes = dst
	p.deflate.Reset(&p.out)
	_, _ = p.deflate.Write(p.shuffled) // a sink does not fail
	_ = p.deflate.Close()
	return binary.LittleEndian.AppendUint32(p.out.bytes, fletcher32(p.out.bytes[len(dst):]))
}

// inverse undoes what a pipeline does. It is used by one goroutine.
type inverse struct {
	shuffled []byte
	deflated bytes.Reader
	inflate  io.Reader // made when there is something to inflate
}

// apply fills the chunk with what was filtered.
func (p *inverse) apply(chunk, filtered []byte, element int) error {
	end := len(filtered) - 4
	if end < 0 {
		return fmt.Errorf("%d bytes without a checksum", len(filtered))
	}
	if got, want := fletcher32(filtered[:end]), binary.LittleEndian.Uint32(filtered[end:]); got != want {
		return fmt.Errorf("its checksum is %08x, stored with it is %08x", got, want)
	}
	p.deflated.Reset(filtered[:end])
	if err := p.restart(); err != nil {
		return err
	}
	p.shuffled = slices.Grow(p.shuffled[:0], len(chunk))[:len(chunk)]
	if _, err := io.ReadFull(p.inflate, p.shuffled); err != nil {
		return fmt.Errorf("inflate: %w", err)
	}
	var more [1]byte
	if _, err := p.inflate.Read(more[:]); !errors.Is(err, io.EOF) { // it comes after zlib's own checksum
		return errors.Join(errors.New("inflate: more than a chunk"), err)
	}
	unshuffle(chunk, p.shuffled, element)
	return nil
}

// restart begins to inflate what is in deflated.
func (p *inverse) restart() (err error) {
	if r, ok := p.inflate.(zlib.Resetter); ok {
		err = r.Reset(&p.deflated, nil)
	} else {
		p.inflate, err = zlib.NewReader(&p.deflated)
	}
	if err != nil {
		return fmt.Errorf("inflate: %w", err)
	}
	return nil
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

// fletcher32 is the checksum of H5Z_FILTER_FLETCHER32: over 16-bit words whose
// first byte is the high one, with sums that are folded and not reduced.
func fletcher32(data []byte) uint32 {
	const most = 2 * 360 // bytes until a sum must be folded
	var a, b uint32
	for len(data) > 1 {
		part := data[:min(len(data)&^1, most)]
		data = data[len(part):]
		for ; len(part) >= 8; part = part[8:] { // as below, four times
			v := binary.BigEndian.Uint64(part)
			w, x, y, z := uint32(v>>48), uint32(v>>32&0xFFFF), uint32(v>>16&0xFFFF), uint32(v&0xFFFF)
			b += 4*(a+w) + 3*x + 2*y + z
			a += w + x + y + z
		}
		for ; len(part) >= 2; part = part[2:] {
			a += uint32(binary.BigEndian.Uint16(part))
			b += a
		}
		a, b = fold(a), fold(b)
	}
	if len(data) == 1 {
		a += uint32(data[0]) << 8
		b += a
		a, b = fold(a), fold(b)
	}
	return fold(b)<<16 | fold(a)
}

func fold(sum uint32) uint32 { return sum&0xFFFF + sum>>16 }
