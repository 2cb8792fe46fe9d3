#include "shim.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// libhdf5 locks the files it opens. A child process that is just starting still
// has copies of our descriptors and with them the locks, close-on-exec or not,
// so a file that was closed here could not be opened again. Windrow's files
// have names of their own or a lock beside them, and need no locks of
// libhdf5's. It looks at the environment once, before Go code runs; a user's
// own setting stands.
__attribute__((constructor)) static void no_locks(void) { setenv("HDF5_USE_FILE_LOCKING", "FALSE", 0); }

// The error stack, and what is done with it, belong to the OS thread, and the
// next call clears it, even one that only cleans up. So the library is told to
// report a failing call at once, and the first report is kept.
static __thread char first_reason[8192]; // a path may be in it, too

// Walking downward ends at the innermost function: the cause.
static herr_t keep_last(unsigned n, const H5E_error2_t *e, void *data) {
  (void)n, (void)data;
  if (e->desc != NULL && e->desc[0] != '\0') {
    strncpy(first_reason, e->desc, sizeof first_reason - 1);
    first_reason[sizeof first_reason - 1] = '\0';
  }
  return 0;
}

static herr_t report(hid_t stack, void *data) {
  (void)data;
  return first_reason[0] != '\0' ? 0 : H5Ewalk2(stack, H5E_WALK_DOWNWARD, keep_last, NULL);
}

void h5_listen(void) {
  first_reason[0] = '\0';
  H5Eset_auto2(H5E_DEFAULT, report, NULL);
}

const char *h5_reason(void) { return first_reason; }

// At the end of a process libhdf5 closes what is open, and crashes if that
// could not be written. A Go program does not run that, except with the race
// detector. This must come before the library's first call.
__attribute__((constructor)) static void stay_out_of_exit(void) { H5dont_atexit(); }

static H5F_libver_t bound(int v110) { return v110 ? H5F_LIBVER_V110 : H5F_LIBVER_V18; }

// The superblock's version is decided when a file is created, and the root
// group keeps times unless the creation list says no.
herr_t h5_create_file(const char *path, int v110) {
  hid_t access = H5Pcreate(H5P_FILE_ACCESS), creation = H5Pcreate(H5P_FILE_CREATE), file;
  herr_t status = -1;
  if (H5Pset_libver_bounds(access, bound(v110), bound(v110)) >= 0 && H5Pset_obj_track_times(creation, 0) >= 0 &&
      (file = H5Fcreate(path, H5F_ACC_EXCL, creation, access)) >= 0)
    status = H5Fclose(file);
  H5Pclose(creation);
  H5Pclose(access);
  return status;
}

herr_t h5_set_bounds(hid_t file, int v110) { return H5Fset_libver_bounds(file, bound(v110), bound(v110)); }

ssize_t h5_open_objects(hid_t file) { return H5Fget_obj_count(file, H5F_OBJ_ALL | H5F_OBJ_LOCAL); }

// libhdf5 opens files without O_CLOEXEC: a child would inherit the descriptor
// and the lock on it.
herr_t h5_close_on_exec(hid_t file) {
  int *descriptor = NULL;
  if (H5Fget_vfd_handle(file, H5P_DEFAULT, (void **)&descriptor) < 0 || descriptor == NULL) return -1;
  return fcntl(*descriptor, F_SETFD, FD_CLOEXEC) < 0 ? -1 : 0;
}

static hid_t text_type(void) {
  hid_t type = H5Tcopy(H5T_C_S1);
  if (H5Tset_size(type, H5T_VARIABLE) < 0 || H5Tset_cset(type, H5T_CSET_UTF8) < 0) {
    H5Tclose(type);
    return -1;
  }
  return type;
}

// What h5py writes for numpy's bool.
static hid_t bool_type(void) {
  hid_t type = H5Tenum_create(H5T_STD_I8LE);
  int8_t no = 0, yes = 1;
  if (H5Tenum_insert(type, "FALSE", &no) < 0 || H5Tenum_insert(type, "TRUE", &yes) < 0) {
    H5Tclose(type);
    return -1;
  }
  return type;
}

hid_t h5_element_type(int kind, size_t length) {
  hid_t type;
  switch (kind) {
  case KIND_FLOAT64: return H5Tcopy(H5T_IEEE_F64LE);
  case KIND_FLOAT32: return H5Tcopy(H5T_IEEE_F32LE);
  case KIND_INT64: return H5Tcopy(H5T_STD_I64LE);
  case KIND_INT32: return H5Tcopy(H5T_STD_I32LE);
  case KIND_INT8: return H5Tcopy(H5T_STD_I8LE);
  case KIND_INT16: return H5Tcopy(H5T_STD_I16LE);
  case KIND_UINT8: return H5Tcopy(H5T_STD_U8LE);
  case KIND_UINT16: return H5Tcopy(H5T_STD_U16LE);
  case KIND_UINT32: return H5Tcopy(H5T_STD_U32LE);
  case KIND_UINT64: return H5Tcopy(H5T_STD_U64LE);
  case KIND_BOOL: return bool_type();
  case KIND_VARTEXT: return text_type();
  }
  type = H5Tcopy(H5T_C_S1);
  if (H5Tset_size(type, length) < 0 || H5Tset_strpad(type, H5T_STR_NULLPAD) < 0 ||
      H5Tset_cset(type, kind == KIND_TEXT ? H5T_CSET_UTF8 : H5T_CSET_ASCII) < 0) {
    H5Tclose(type);
    return -1;
  }
  return type;
}

herr_t h5_create_group(hid_t file, const char *name) {
  hid_t creation = H5Pcreate(H5P_GROUP_CREATE), group;
  herr_t status = -1;
  if (H5Pset_obj_track_times(creation, 0) >= 0 && (group = H5Gcreate2(file, name, H5P_DEFAULT, creation, H5P_DEFAULT)) >= 0)
    status = H5Gclose(group);
  H5Pclose(creation);
  return status;
}

// In one piece that is allocated at once and not filled; or in chunks of whole
// rows, without an end.
static herr_t set_layout(hid_t creation, int kind, int rank, const hsize_t *dims, hsize_t chunk_rows, int level) {
  hsize_t chunk[H5S_MAX_RANK];
  if (chunk_rows == 0) {
    if (H5Pset_layout(creation, H5D_CONTIGUOUS) < 0 || H5Pset_alloc_time(creation, H5D_ALLOC_TIME_EARLY) < 0) return -1;
    return kind == KIND_VARTEXT ? 0 : H5Pset_fill_time(creation, H5D_FILL_TIME_NEVER);
  }
  chunk[0] = chunk_rows;
  for (int i = 1; i < rank; i++) chunk[i] = dims[i];
  if (H5Pset_chunk(creation, rank, chunk) < 0) return -1;
  if (level == 0) return 0;
  if (H5Pset_shuffle(creation) < 0 || H5Pset_deflate(creation, (unsigned)level) < 0) return -1;
  return H5Pset_fletcher32(creation);
}

herr_t h5_create_dataset(hid_t file, const char *name, int kind, size_t length, int rank, const hsize_t *dims, hsize_t chunk_rows, int level) {
  hsize_t most[H5S_MAX_RANK];
  hid_t type = h5_element_type(kind, length), creation = H5Pcreate(H5P_DATASET_CREATE), space, dataset;
  herr_t status = -1;
  memcpy(most, dims, (size_t)rank * sizeof *dims);
  if (chunk_rows > 0) most[0] = H5S_UNLIMITED;
  space = H5Screate_simple(rank, dims, most);
  if (type >= 0 && space >= 0 && set_layout(creation, kind, rank, dims, chunk_rows, level) >= 0 && H5Pset_obj_track_times(creation, 0) >= 0 &&
      (dataset = H5Dcreate2(file, name, type, space, H5P_DEFAULT, creation, H5P_DEFAULT)) >= 0)
    status = H5Dclose(dataset);
  H5Pclose(creation);
  if (space >= 0) H5Sclose(space);
  if (type >= 0) H5Tclose(type);
  return status;
}

herr_t h5_write_scalar(hid_t dataset, int kind, const void *value) {
  hid_t type = h5_element_type(kind, 1);
  herr_t status = type < 0 ? -1 : H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, value);
  if (type >= 0) H5Tclose(type);
  return status;
}

// The filters of a creation list: 0 and a level, 0 without filters; or OTHER.
static herr_t filters(hid_t creation, int *level) {
  static const H5Z_filter_t ours[] = {H5Z_FILTER_SHUFFLE, H5Z_FILTER_DEFLATE, H5Z_FILTER_FLETCHER32};
  int n = H5Pget_nfilters(creation);
  *level = 0;
  if (n < 0) return -1;
  if (n == 0) return 0;
  for (int i = 0; i < n; i++) {
    unsigned flags, value[8] = {0};
    size_t values = 8;
    H5Z_filter_t filter = H5Pget_filter2(creation, (unsigned)i, &flags, &values, value, 0, NULL, NULL);
    if (filter < 0) return -1;
    if (n != 3 || filter != ours[i]) return OTHER;
    if (filter == H5Z_FILTER_DEFLATE && values == 1) *level = (int)value[0];
  }
  return *level < 1 || *level > 9 ? OTHER : 0;
}

// The layout of a creation list; the chunk must span whole rows of the dims.
static herr_t layout(hid_t creation, int rank, const hsize_t *dims, hsize_t *chunk_rows, int *level) {
  hsize_t chunk[H5S_MAX_RANK];
  H5D_layout_t how = H5Pget_layout(creation);
  *chunk_rows = 0, *level = 0;
  if (how < 0) return -1;
  if (how == H5D_CONTIGUOUS) return 0;
  if (how != H5D_CHUNKED) return OTHER;
  if (H5Pget_chunk(creation, H5S_MAX_RANK, chunk) != rank) return -1;
  *chunk_rows = chunk[0];
  for (int i = 1; i < rank; i++)
    if (chunk[i] != dims[i]) return OTHER;
  return filters(creation, level);
}

int h5_layout(hid_t dataset, hsize_t *chunk_rows, int *level) {
  hsize_t dims[H5S_MAX_RANK];
  hid_t creation = H5Dget_create_plist(dataset);
  int rank = h5_rank(dataset, dims, H5S_MAX_RANK), status = -1;
  if (creation >= 0 && rank >= 0) status = layout(creation, rank, dims, chunk_rows, level);
  if (creation >= 0) H5Pclose(creation);
  return status;
}

// libhdf5 believes what it is told here, so the chunk must be one that the
// dataset has, and without filters of its size.
herr_t h5_write_chunk(hid_t dataset, hsize_t first, size_t size, const void *chunk) {
  hsize_t dims[H5S_MAX_RANK], at[H5S_MAX_RANK] = {first}, rows, bytes;
  hid_t type = H5Dget_type(dataset);
  int rank = h5_rank(dataset, dims, H5S_MAX_RANK), level, status = h5_layout(dataset, &rows, &level);
  bytes = type < 0 ? 0 : H5Tget_size(type) * rows;
  if (type >= 0) H5Tclose(type);
  if (rank < 1 || status < 0) return -1;
  for (int i = 1; i < rank; i++) bytes *= dims[i];
  if (status == OTHER || rows == 0 || first % rows != 0 || first >= dims[0] || (level == 0 && size != bytes)) return OTHER;
  return H5Dwrite_chunk(dataset, H5P_DEFAULT, 0, at, size, chunk);
}

int64_t h5_chunk_size(hid_t dataset, hsize_t first) {
  hsize_t at[H5S_MAX_RANK] = {first}, bytes;
  if (H5Dget_chunk_storage_size(dataset, at, &bytes) < 0 || bytes > INT64_MAX) return -1;
  return (int64_t)bytes;
}

herr_t h5_read_chunk(hid_t dataset, hsize_t first, void *chunk) {
  hsize_t at[H5S_MAX_RANK] = {first};
  uint32_t skipped; // a bit for each filter that was not applied
  if (H5Dread_chunk(dataset, H5P_DEFAULT, at, &skipped, chunk) < 0) return -1;
  return skipped == 0 ? 0 : OTHER;
}

int64_t h5_offset(hid_t dataset) {
  haddr_t offset = H5Dget_offset(dataset);
  return offset == HADDR_UNDEF ? -1 : (int64_t)offset;
}

int h5_is_type(hid_t dataset, int kind, size_t length) {
  hid_t want = h5_element_type(kind, length), type = H5Dget_type(dataset);
  int equal = want >= 0 && type >= 0 && H5Tequal(type, want) > 0;
  if (type >= 0) H5Tclose(type);
  if (want >= 0) H5Tclose(want);
  return equal;
}

int h5_is_plain(hid_t dataset) {
  hid_t type = H5Dget_type(dataset);
  H5T_class_t class = type < 0 ? H5T_NO_CLASS : H5Tget_class(type);
  int plain = class == H5T_INTEGER || class == H5T_FLOAT || class == H5T_ENUM || (class == H5T_STRING && H5Tis_variable_str(type) == 0);
  if (type >= 0) H5Tclose(type);
  return plain;
}

int h5_rank(hid_t dataset, hsize_t *dims, int max) {
  hid_t space = H5Dget_space(dataset);
  int rank;
  if (space < 0) return -1;
  rank = H5Sget_simple_extent_ndims(space);
  if (rank > max || (rank > 0 && H5Sget_simple_extent_dims(space, dims, NULL) < 0)) rank = -1;
  H5Sclose(space);
  return rank;
}

static herr_t write_attribute(hid_t object, const char *name, hid_t type, hid_t space, const void *value) {
  hid_t attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
  herr_t status;
  if (attribute < 0) return -1;
  status = H5Awrite(attribute, type, value);
  return H5Aclose(attribute) < 0 ? -1 : status;
}

herr_t h5_set_string(hid_t object, const char *name, const char *value) {
  hid_t type = text_type(), space = H5Screate(H5S_SCALAR);
  herr_t status = type < 0 || space < 0 ? -1 : write_attribute(object, name, type, space, &value);
  if (space >= 0) H5Sclose(space);
  if (type >= 0) H5Tclose(type);
  return status;
}

herr_t h5_set_numbers(hid_t object, const char *name, int kind, int count, const void *values) {
  hsize_t dims = (hsize_t)count;
  hid_t type = h5_element_type(kind, 1), space = count == 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(1, &dims, NULL);
  herr_t status = type < 0 || space < 0 ? -1 : write_attribute(object, name, type, space, values);
  if (space >= 0) H5Sclose(space);
  if (type >= 0) H5Tclose(type);
  return status;
}

// One element is read, whatever the file says, and only as what it is:
// libhdf5 would round 0.5 to a whole number.
static herr_t read_scalar(hid_t object, const char *name, hid_t type, void *value) {
  hid_t attribute = H5Aopen(object, name, H5P_DEFAULT), space, stored;
  herr_t status = -1;
  if (attribute < 0) return -1;
  space = H5Aget_space(attribute);
  stored = H5Aget_type(attribute);
  if (space >= 0 && stored >= 0)
    status = H5Sget_simple_extent_npoints(space) == 1 && H5Tget_class(stored) == H5Tget_class(type)
                 ? H5Aread(attribute, type, value)
                 : OTHER;
  if (stored >= 0) H5Tclose(stored);
  if (space >= 0) H5Sclose(space);
  H5Aclose(attribute);
  return status;
}

herr_t h5_get_string(hid_t object, const char *name, char **value) {
  hid_t type = text_type();
  char *text = NULL;
  herr_t status = type < 0 ? -1 : read_scalar(object, name, type, &text);
  if (type >= 0) H5Tclose(type);
  *value = NULL;
  if (status != 0) return status;
  if (text == NULL) return OTHER;
  *value = strdup(text);
  H5free_memory(text);
  return *value == NULL ? -1 : 0;
}

herr_t h5_get_int(hid_t object, const char *name, int64_t *value) {
  return read_scalar(object, name, H5T_NATIVE_INT64, value);
}
