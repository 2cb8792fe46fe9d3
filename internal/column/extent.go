package column

import (
	"cmp"
	"errors"
	"io"
	"slices"
)

// Extent is where the content of a dataset lies in its file.
type Extent struct {
	Offset int64 `json:"offset"`
	Bytes  int64 `json:"bytes"`
}

// ErrExtents says that extents overlap or lie outside their file.
var ErrExtents = errors.New("datasets overlap or lie outside the file")

// CopyOutside writes to w the bytes of r, which has size bytes, outside the
// extents.
func CopyOutside(w io.Writer, r io.ReaderAt, size int64, extents []Extent) error {
	sorted := slices.DeleteFunc(slices.Clone(extents), func(e Extent) bool { return e.Bytes == 0 })
	slices.SortFunc(sorted, func(a, b Extent) int { return cmp.Compare(a.Offset, b.Offset) })
	end := int64(0)
	for _, e := range append(sorted, Extent{Offset: size}) {
		if e.Bytes < 0 || e.Offset < end || e.Offset > size-e.Bytes {
			return ErrExtents
		}
		if _, err := io.Copy(w, io.NewSectionReader(r, end, e.Offset-end)); err != nil {
			return err
		}
		end = e.Offset + e.Bytes
	}
	return nil
}
