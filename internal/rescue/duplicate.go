package rescue

import (
	"context"
	"fmt"
)

// duplicate is a row whose key an earlier row has, and which is left out.
type duplicate struct {
	row, first int64  // of all sources
	sum        uint64 // as those of the rows that are written
	differs    string // the first column in which it is not what the first row is
}

// leaveOut notes a row of all sources that has the key of an earlier one.
func (m *merge) leaveOut(row, first int64) {
	m.places[row] = -1 - int64(len(m.duplicates))
	m.duplicates = append(m.duplicates, duplicate{row: row, first: first})
}

// compareDuplicates tells, when a column was written, in which duplicates it is
// another: sums that were equal until then are not any more.
func (m *merge) compareDuplicates(column string) {
	for i := range m.duplicates {
		d := &m.duplicates[i]
		if d.differs == "" && d.sum != m.sums[m.place(d.first)] {
			d.differs = column
			m.report.Conflicts++
		}
	}
}

// nameConflict describes the first duplicate that differs.
func (m *merge) nameConflict(ctx context.Context) error {
	for _, d := range m.duplicates {
		if d.differs == "" {
			continue
		}
		first, firstRow := m.sourceOf(d.first)
		second, secondRow := m.sourceOf(d.row)
		var key string
		err := second.Keys(ctx, m.reader, m.options.Key, func(row int64, _ Key, show func() string) {
			if row == secondRow {
				key = show()
			}
		})
		m.report.Conflict = fmt.Sprintf("%s has another %s in row %d of %s than in row %d of %s", key, d.differs, secondRow, second.Path, firstRow, first.Path)
		return err
	}
	return nil
}

// sourceOf returns where a row of all sources is.
func (m *merge) sourceOf(row int64) (s *Source, within int64) {
	for _, s := range m.sources {
		if row < s.Rows {
			return s, row
		}
		row -= s.Rows
	}
	panic("rescue: a row of no source")
}
