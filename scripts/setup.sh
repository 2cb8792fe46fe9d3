# shellcheck shell=bash
# What a machine needs beside git and Go before it can build and test windrow, and how it gets it.
# quickstart.sh, test.sh and .ci/run source this file at the top of the checkout.

# Without this, go leaves cgo out, and HDF5 with it, on a machine whose compiler is installed only now.
export CGO_ENABLED=1

# say LINE...: for the person who waits; stdout belongs to the program that the script runs.
say() { printf '%s\n' "$@" >&2; }

die() {
  say "$@"
  exit 1
}

# step TITLE COMMAND...: runs the command, says how long it took, and shows its output, which it leaves in $output, only if it failed.
step() {
  local title=$1 begun=$SECONDS status=0
  shift
  printf '%s ... ' "$title" >&2
  output=$("$@" 2>&1) || status=$?
  if ((status == 0)); then
    say "$((SECONDS - begun)) s"
  else
    say "FAILED after $((SECONDS - begun)) s"
    say "$output"
  fi
  return "$status"
}

# require_go stops with advice unless the Go that will build windrow is the one go.mod asks for, or newer.
require_go() {
  local need have advice
  need=$(sed -n 's/^go //p' go.mod)
  advice="windrow needs Go $need or newer: install it as https://go.dev/doc/install says, then run this again."

  # sudo and cron drop the directory of Go's own installer from PATH.
  PATH=$PATH:/usr/local/go/bin
  command -v go >/dev/null || die "There is no go command on PATH." "$advice"

  # From 1.21 on, an older Go fetches the one that go.mod names; it then speaks for that one, or fails.
  have=$(go env GOVERSION) || die "$(go version) could not fetch Go $need." "$advice"
  have=${have#devel } have=${have#go}
  [[ $(printf '%s\n' "$need" "$have" | sort -V | head -n 1) == "$need" ]] ||
    die "This is Go ${have:-older than 1.16}." "$advice"
}

# build_windrow makes bin/windrow, and bin/windrow-plot, which draws for it.
build_windrow() {
  local stamp=()
  # go stops at a checkout that git refuses to read, such as one of another user.
  git status >/dev/null 2>&1 || stamp=(-buildvcs=false)
  go build "${stamp[@]}" -o bin/windrow .
  go build "${stamp[@]}" -o bin/windrow-plot ./internal/picture/windrow-plot
}

# The three functions below print the Debian packages whose contents are missing. They try the contents instead of asking
# dpkg, so that a compiler or library which came some other way counts.

build_packages() {
  local cc
  read -ra cc <<<"$(go env CC)"
  command -v "${cc[0]}" >/dev/null || echo gcc libc6-dev
  links_hdf5 "${cc[@]}" || echo libhdf5-dev
}

# The tests read what windrow wrote with other people's readers, Debian's so that they find them in one place.
test_packages() {
  /usr/bin/python3 -c 'import h5py, numpy' 2>/dev/null || echo python3 python3-numpy python3-h5py
  /usr/bin/python3 -c 'import yaml' 2>/dev/null || echo python3-yaml
  /usr/bin/python3 -c 'import netCDF4' 2>/dev/null || echo python3-netcdf4
  /usr/bin/python3 -c 'import h5netcdf, xarray' 2>/dev/null || echo python3-h5netcdf python3-xarray
  command -v h5dump >/dev/null || echo hdf5-tools
  command -v strace >/dev/null || echo strace # lets system calls fail
  command -v ip >/dev/null || echo iproute2 # makes the network namespaces that stand in for hosts
}

lint_packages() {
  command -v shellcheck >/dev/null || echo shellcheck
}

# links_hdf5 CC...: whether a C program finds HDF5 where the Go binding looks for it, or where CGO_CFLAGS and
# CGO_LDFLAGS point.
links_hdf5() {
  local cflags ldflags dir program linked=0
  read -ra cflags <<<"-I/usr/local/include $(go env CGO_CFLAGS)"
  read -ra ldflags <<<"-L/usr/local/lib $(go env CGO_LDFLAGS)"
  for dir in /usr/lib/*-linux-gnu/hdf5/serial; do
    cflags+=("-I$dir/include")
    ldflags+=("-L$dir")
  done
  program=$(mktemp)
  "$@" "${cflags[@]}" -x c -o "$program" - "${ldflags[@]}" -lhdf5_hl -lhdf5 2>/dev/null <<'END' || linked=$?
#include <hdf5.h>
#include <hdf5_hl.h>
int main(void) { return H5open(); }
END
  rm -f "$program"
  return "$linked"
}

# ensure FUNCTION...: installs the packages that these functions print, and stops if they still print any.
ensure() {
  local missing
  read -ra missing <<<"$(missing_of "$@")"
  ((${#missing[@]})) || return 0

  step "Installing ${missing[*]}" install_packages "${missing[@]}" ||
    die "Install these Debian packages, then run this again: ${missing[*]}"
  read -ra missing <<<"$(missing_of "$@")"
  ((${#missing[@]} == 0)) || die "Installed, but they cannot be used here: ${missing[*]}"
}

missing_of() {
  local list
  for list; do "$list"; done | tr '\n' ' '
}

# install_packages NAME...: asks nothing, leaves installed packages as they are, and waits for another apt to finish.
install_packages() {
  local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3)
  command -v apt-get >/dev/null || die "There is no apt-get on this machine."
  if ((EUID != 0)); then
    command -v sudo >/dev/null || die "apt-get needs root, and there is no sudo."
    # Only a person at a terminal can be asked for a password.
    if [[ -t 0 ]]; then apt=(sudo "${apt[@]}"); else apt=(sudo -n "${apt[@]}"); fi
  fi
  # An update that failed may be about a source that has nothing to do with us; whether it is, the install shows.
  "${apt[@]}" update || true
  "${apt[@]}" install --no-install-recommends --no-upgrade "$@"
}
