package spec

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"windrow/internal/form"
	"windrow/internal/message"
)

// Canonical returns the part of the spec that the digest covers (version,
// seed, tasks, simulator, columns) as compact JSON: keys in a fixed order,
// defaults filled in, and equal lists of values in one notation.
func (s *Spec) Canonical() ([]byte, error) {
	canonical, err := json.Marshal(s.rowForm().Value())
	if err != nil {
		return nil, fmt.Errorf("encode spec: %w", err)
	}
	return canonical, nil
}

// Decode reads the canonical form, which may come from anywhere: it is checked
// like a user's file, and must be what Canonical would write.
func Decode(canonical []byte) (*Spec, error) {
	if len(canonical) > message.MaxEventBytes {
		return nil, fmt.Errorf("decode spec: %d bytes: %d at most", len(canonical), message.MaxEventBytes)
	}
	document, err := form.ParseJSON("spec of the run", canonical)
	if err != nil {
		return nil, err
	}
	s := withDefaults()
	s.document = document
	problems := document.Read(s.rowForm())
	if err := append(problems, s.check()...).Err(); err != nil {
		return nil, err
	}
	again, err := s.Canonical()
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again, canonical) {
		return nil, errors.New("decode spec: it is not in the canonical form of this version of windrow")
	}
	return s, nil
}

// Digest returns the digest of all that determines the rows of a run: the
// canonical spec, the files it names, and name and version of what computes
// the tasks. It is the SHA-256 of these as one JSON object.
func Digest(canonical []byte, files []message.File, model string) message.Digest {
	h := sha256.New()
	err := json.NewEncoder(h).Encode(struct {
		Spec  json.RawMessage `json:"spec"`
		Files []message.File  `json:"files"`
		Model string          `json:"model"`
	}{canonical, files, model})
	if err != nil {
		panic(fmt.Sprintf("spec: digest of what is not JSON: %v", err))
	}
	return message.Digest(hex.EncodeToString(h.Sum(nil)))
}

// Differences names the fields and files in which two runs differ, one line
// each, as in `seed: was 42, is 43`.
func Differences(oldSpec, newSpec []byte, oldFiles, newFiles []message.File) []string {
	differences := compare(leavesOf(oldSpec), leavesOf(newSpec), "%s: %s", "not there")
	return append(differences, compare(digestsOf(oldFiles), digestsOf(newFiles), "file %s: %s", "not named")...)
}

// leaf is a value in a spec that holds no others, or the digest of a file.
type leaf struct{ name, value string }

func compare(before, after []leaf, format, none string) []string {
	var differences []string
	report := func(name, old, now string) {
		differences = append(differences, fmt.Sprintf(format, name, fmt.Sprintf("was %s, is %s", old, now)))
	}
	for _, l := range before {
		if now := find(after, l.name, none); now != l.value {
			report(l.name, l.value, now)
		}
	}
	for _, l := range after {
		if find(before, l.name, none) == none {
			report(l.name, none, l.value)
		}
	}
	return differences
}

func find(leaves []leaf, name, none string) string {
	i := slices.IndexFunc(leaves, func(l leaf) bool { return l.name == name })
	if i < 0 {
		return none
	}
	return leaves[i].value
}

func digestsOf(files []message.File) []leaf {
	leaves := make([]leaf, len(files))
	for i, f := range files {
		leaves[i] = leaf{f.Path, "sha256 " + string(f.Digest)}
	}
	return leaves
}

// leavesOf returns the values of a canonical spec with their paths, and the
// keys of the matrix in their order. What is no spec has none.
func leavesOf(canonical []byte) []leaf {
	document, err := form.ParseJSON("", canonical)
	if err != nil {
		return nil
	}
	var leaves []leaf
	var axes []string
	for path, value := range document.Leaves() {
		if axis, ok := strings.CutPrefix(path, "tasks.matrix."); ok {
			axes = append(axes, axis)
		}
		leaves = append(leaves, leaf{path, value})
	}
	if axes != nil {
		leaves = append(leaves, leaf{"order of the keys in tasks.matrix", strings.Join(axes, ", ")})
	}
	return leaves
}
