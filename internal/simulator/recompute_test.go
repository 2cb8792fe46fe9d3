package simulator_test

import (
	"math"
	"strings"
	"testing"

	"windrow/internal/simulator"
	"windrow/internal/table"
)

// copyRow takes over the columns that both rows have.
func copyRow(t *testing.T, to, from table.Row) {
	t.Helper()
	for c, column := range to.Columns() {
		for i := range column.Elements() {
			if err := to.Set(c, i, from.Get(from.Columns().Index(column.Name), i)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestFarmCheckFindsWhatWasNotComputed(t *testing.T) {
	t.Parallel()
	s := loadWindfarm(t, t.TempDir(), campaign, "3D")
	s.Simulator.Windfarm.Wake = "jensen/pywake"
	b := newBench(t, s, simulator.Options{}, "farm_id", "farm_type", "seed")
	if err := b.Simulate(t.Context(), b.task([]int64{4, 5, 1}, ""), b.row); err != nil {
		t.Fatal(err)
	}
	check, err := simulator.NewFarmCheck(s, []string{"."}, 100, table.Type{Kind: table.Int32})
	if err != nil {
		t.Fatal(err)
	}
	column := check.Columns().Index
	for _, test := range []struct {
		name    string
		change  func(table.Row)
		checked bool
		want    string
	}{
		{"as computed", func(table.Row) {}, true, ""},
		{"another energy", func(r table.Row) { r.SetFloats(column("aep"), math.Nextafter(b.float("aep", 0), 0)) }, false, "aep is "},
		{"another factor", func(r table.Row) { r.SetFloats(column("capacity_factor"), 0.5) }, false, "capacity_factor is 0.5"},
		{"another layout", func(r table.Row) { _ = r.Set(column("layout"), 7, b.float("layout", 7)+1) }, false, "computed again"},
		{"failed task", func(r table.Row) { r.SetFloats(column("aep"), math.NaN()) }, false, ""},
		{"no such type", func(r table.Row) { _ = r.Set(column("farm_type"), 0, int64(6)) }, false, "farm of type 6 with 66 turbines"},
		{"no turbines", func(r table.Row) { _ = r.Set(column("n_turbines"), 0, int64(0)) }, false, "with 0 turbines"},
		{"too many turbines", func(r table.Row) { _ = r.Set(column("n_turbines"), 0, int64(101)) }, false, "with 101 turbines"},
		{"gaps in the layout", func(r table.Row) { _ = r.Set(column("n_turbines"), 0, int64(70)) }, false, "turbine 66 stands at (NaN, NaN)"},
	} {
		row := table.NewBlock(check.Columns(), 1).Append()
		copyRow(t, row, b.row)
		if err := row.Set(column("farm_type"), 0, int64(5)); err != nil { // the worker sets keys, not the model
			t.Fatal(err)
		}
		test.change(row)
		checked, err := check.Check(row)
		if checked != test.checked || (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: checked %t, error %v; want %t and %q", test.name, checked, err, test.checked, test.want)
		}
	}
}
