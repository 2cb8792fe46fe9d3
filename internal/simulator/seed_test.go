package simulator_test

import (
	"testing"

	"windrow/internal/simulator"
	"windrow/internal/table"
)

// The numbers are from Python:
//
//	int.from_bytes(hashlib.sha256(b"[42,0,1,17]").digest()[:8], "big") >> 11
func TestSeedIsWhatPythonComputes(t *testing.T) {
	t.Parallel()
	ints := func(values ...int64) (key []table.Value) {
		for _, v := range values {
			key = append(key, table.IntValue(v))
		}
		return key
	}
	for _, tt := range []struct {
		name string
		seed int64
		key  []table.Value
		want uint64
	}{
		{"[42,0,1,17]", 42, ints(0, 1, 17), 1587818748972465},
		{"[-1]", -1, nil, 7358577258605904},
		{`[42,"a",1.5]`, 42, []table.Value{table.StringValue("a"), table.FloatValue(1.5)}, 6292578829776612},
		{"[9223372036854775807,-3]", 1<<63 - 1, ints(-3), 2982050071611329},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := simulator.Seed(tt.seed, tt.key); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}
