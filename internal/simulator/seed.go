package simulator

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strconv"

	"windrow/internal/table"
)

// seedBits is the size of a seed: as many bits as a JSON number keeps in every
// language.
const seedBits = 53

// Seed returns the seed of the task with the given key in a spec with seed
// specSeed: the first 53 bits of the SHA-256 of both as a JSON array without
// spaces. In Python, for spec seed 42 and key (0, 1, 17):
//
//	int.from_bytes(hashlib.sha256(b"[42,0,1,17]").digest()[:8], "big") >> 11
func Seed(specSeed int64, key []table.Value) uint64 {
	text := strconv.AppendInt([]byte("["), specSeed, 10)
	for _, v := range key {
		value, err := v.MarshalJSON()
		if err != nil {
			panic(fmt.Sprintf("seed of a task without a key: %v", err)) // decoders refuse such tasks
		}
		text = append(append(text, ','), value...)
	}
	sum := sha256.Sum256(append(text, ']'))
	return binary.BigEndian.Uint64(sum[:]) >> (64 - seedBits)
}
