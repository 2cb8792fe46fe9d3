#!/usr/bin/env bash
# Types what README.md begins with in a bare container of golang:1.26-bookworm, which has git, Go and a C compiler but no
# libhdf5: quickstart.sh, the same again, and test.sh -short. With the packages and modules that it fetches this takes some
# minutes.
#
#   bash test/compose/bare.sh
#
# It works on a clone of the last commit, within the container, and leaves nothing behind.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

say() { printf '%s\n' "$*" >&2; }

if ! docker info >/dev/null 2>&1; then
  say "bare container: not run, there is no Docker engine here"
  exit 0
fi

image=golang:1.26-bookworm name=windrow-bare-$$ work=$(mktemp -d)
clean() {
  local status=$?
  trap - EXIT
  docker rm --force "$name" >/dev/null 2>&1 || true
  rm -rf "$work"
  exit "$status"
}
trap clean EXIT
trap 'exit 130' INT TERM

git clone --quiet --no-hardlinks . "$work/windrow"

cat >"$work/proof.sh" <<'END'
set -euo pipefail
die() { printf '%s\n' "$*" >&2; exit 1; }
cd /windrow
if ldconfig -p | grep -q libhdf5 || [[ -e /usr/include/hdf5 ]]; then die "libhdf5 is in the image: this would prove nothing"; fi

bash quickstart.sh | tee /tmp/first
grep -q '^tenders.h5: 3,000 rows, ' /tmp/first || die "quickstart.sh does not end in the dataset"
bash quickstart.sh | tee /tmp/second
grep -q 'is finished and verified; nothing was computed$' /tmp/second || die "quickstart.sh again computes again"
bash test.sh -short
END

docker create --init --name "$name" "$image" bash /proof.sh >/dev/null
docker cp "$work/proof.sh" "$name:/proof.sh"
docker cp "$work/windrow" "$name:/windrow"
begun=$SECONDS
docker start --attach "$name"
say "bare container: quickstart.sh and test.sh -short passed in $((SECONDS - begun)) s"
