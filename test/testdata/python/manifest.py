"""Checks a dataset against its own manifest as docs/FORMAT.md says how, with
h5py and nothing of windrow's. XXH3 is not in Debian's Python: for each row it
prints the digest that the manifest has, and the bytes that it is over.
Arguments: the dataset; task, keys, results and codes, in this order."""

import hashlib
import sys

import h5py

path, order = sys.argv[1], sys.argv[2:]


def content(d):
    """The content of a dataset: row-major, little-endian, text padded with NUL."""
    values = d[...]
    return values.astype(values.dtype.newbyteorder("<")).tobytes()


with h5py.File(path, "r") as f:
    names = [name.decode() for name in f["manifest/name"]]
    sums = dict(zip(names, (s.decode() for s in f["manifest/sha256"])))
    assert names[-1] == ".", names
    places = [f["manifest/sha256"]]
    for name in names[:-1]:
        assert hashlib.sha256(content(f[name])).hexdigest() == sums[name], name
        if f[name].chunks is None:
            places.append(f[name])

    # "." is over all other bytes of the file but the digests; chunks are of those.
    with open(path, "rb") as file:
        rest = file.read()
    for start, size in sorted(((d.id.get_offset(), d.nbytes) for d in places if d.nbytes), reverse=True):
        rest = rest[:start] + rest[start + size :]
    assert hashlib.sha256(rest).hexdigest() == sums["."]

    inner = [name for name in names if "/" not in name and name not in (".", "status")]
    assert inner == order, inner
    columns = [content(f[name]) for name in inner]
    digests = f["manifest/row_digest"][:].astype("<u8")
    for i, digest in enumerate(digests):
        row = b"".join(c[len(c) // len(digests) * i : len(c) // len(digests) * (i + 1)] for c in columns)
        print(digest, row.hex())
