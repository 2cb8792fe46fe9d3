package wind

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

const (
	tabTolerance = 0.01 // of sums, relative: the figures are rounded
	maxSectors   = 360
)

// tabReader reads lines of numbers.
type tabReader struct {
	name  string
	lines []string
	next  int // line, from 0
}

// ReadTab reads the wind climate of a WAsP file (.tab): a line of text;
// latitude, longitude and height; the number of sectors, a factor of the speeds
// and an offset of the directions; the frequencies of the sectors in percent; and
// for each class of speeds its upper limit in m/s and the frequencies in it, in
// per mille of each sector. The speed of a class is its middle. Frequencies are
// scaled to their sums, which rounding moves from 100 and 1000.
func ReadTab(name string, r io.Reader) (Climate, error) {
	text, err := readText(r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	t := &tabReader{name: name, lines: strings.Split(strings.TrimRight(string(text), " \t\r\n"), "\n"), next: 1}
	if _, err := t.numbers("latitude, longitude and height", 3); err != nil {
		return nil, err
	}
	head, err := t.numbers("the number of sectors, the factor of the speeds and the offset of the directions", 3)
	if err != nil {
		return nil, err
	}
	sectors, factor, offset := int(head[0]), head[1], head[2]
	if float64(sectors) != head[0] || sectors < 1 || sectors > maxSectors || !positive(factor) {
		return nil, t.errorf("%g sectors, speeds times %g: expected 1 to %d sectors and a factor above 0", head[0], factor, maxSectors)
	}
	if offset != 0 {
		return nil, t.errorf("directions have an offset of %g degrees: expected 0, sectors that begin around north", offset)
	}
	shares, err := t.shares("the frequencies of the sectors in percent", sectors, 100)
	if err != nil {
		return nil, err
	}
	table := SectorTable{Rose{Frequency: make([][]float64, sectors)}}
	for d := range sectors {
		table.Directions = append(table.Directions, float64(d)*360/float64(sectors))
	}
	if err := t.classes(&table, factor); err != nil {
		return nil, err
	}
	for d, row := range table.Frequency {
		total := sum(row)
		if shares[d] > 0 && math.Abs(total/1000-1) > tabTolerance {
			return nil, t.errorf("the frequencies of sector %d sum to %g per mille", d+1, total)
		}
		for i := range row {
			if shares[d] > 0 {
				row[i] *= shares[d] / total
			} else {
				row[i] = 0
			}
		}
	}
	if err := table.Validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return table, nil
}

// classes reads the lines of the classes, in per mille.
func (t *tabReader) classes(table *SectorTable, factor float64) error {
	low := 0.0
	for t.next < len(t.lines) {
		line, err := t.numbers("the upper limit of a class of speeds and a frequency for each sector", 1+len(table.Frequency))
		if err != nil {
			return err
		}
		high := line[0] * factor
		if !(high > low) {
			return t.errorf("the class up to %g m/s does not rise above %g m/s", high, low)
		}
		table.Speeds = append(table.Speeds, (low+high)/2)
		for d, f := range line[1:] {
			if !(f >= 0) {
				return t.errorf("frequency %g of sector %d: expected 0 or more", f, d+1)
			}
			table.Frequency[d] = append(table.Frequency[d], f)
		}
		low = high
	}
	if len(table.Speeds) == 0 {
		return t.errorf("has no classes of speeds")
	}
	return nil
}

// shares reads frequencies that sum to about total, and scales them to 1.
func (t *tabReader) shares(what string, n int, total float64) ([]float64, error) {
	values, err := t.numbers(what, n)
	if err != nil {
		return nil, err
	}
	s := sum(values)
	if math.Abs(s/total-1) > tabTolerance {
		return nil, t.errorf("%s sum to %g: expected %g", what, s, total)
	}
	for i := range values {
		if !(values[i] >= 0) {
			return nil, t.errorf("frequency %g of sector %d: expected 0 or more", values[i], i+1)
		}
		values[i] /= s
	}
	return values, nil
}

// numbers reads the next line, which must have n numbers.
func (t *tabReader) numbers(what string, n int) ([]float64, error) {
	if t.next >= len(t.lines) {
		return nil, fmt.Errorf("%s:%d: ends before %s", t.name, len(t.lines), what)
	}
	fields := strings.Fields(t.lines[t.next])
	t.next++
	if len(fields) != n {
		return nil, t.errorf("has %d numbers: expected %d, %s", len(fields), n, what)
	}
	values := make([]float64, n)
	for i, field := range fields {
		v, err := strconv.ParseFloat(field, 64)
		if err != nil || math.IsInf(v, 0) || math.IsNaN(v) {
			return nil, t.errorf("%q is not a number: expected %s", field, what)
		}
		values[i] = v
	}
	return values, nil
}

// errorf returns an error with the line that was read last.
func (t *tabReader) errorf(format string, args ...any) error {
	return fmt.Errorf("%s:%d: %s", t.name, t.next, fmt.Sprintf(format, args...))
}
