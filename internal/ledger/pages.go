package ledger

const pageCells = 1 << 13 // one page: 32 KiB

// pages is an array of int32, all 0 at first, that takes memory only where
// something was set: whoever claims to plan 2^31 tasks gets 2 MiB, not 8 GiB.
type pages []*[pageCells]int32

func newPages(n int64) pages { return make(pages, (n+pageCells-1)/pageCells) }

// at returns cell i, or 0 outside the array.
func (p pages) at(i int64) int32 {
	if i < 0 || i/pageCells >= int64(len(p)) || p[i/pageCells] == nil {
		return 0
	}
	return p[i/pageCells][i%pageCells]
}

func (p pages) set(i int64, v int32) {
	page := &p[i/pageCells]
	if *page == nil {
		*page = new([pageCells]int32)
	}
	(*page)[i%pageCells] = v
}
