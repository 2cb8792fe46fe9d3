#include "shim.h"

#include <stdlib.h>
#include <string.h>

// A kind of numbers if libhdf5 can read those of a stored type as such, else 0:
// their bits may be laid out as those of no number.
static int if_readable(hid_t type, int kind) {
  hid_t memory = kind == 0 ? -1 : h5_element_type(kind, 0);
  H5T_cdata_t *path;
  if (memory < 0) return 0;
  if (H5Tfind(type, memory, &path) == NULL) kind = 0;
  H5Tclose(memory);
  return kind;
}

// The kind of elements that holds all values of a stored type, whatever its
// byte order; 0 if there is none.
static int kind_of(hid_t type, size_t *length) {
  static const int ints[] = {0, KIND_INT8, KIND_INT16, 0, KIND_INT32, 0, 0, 0, KIND_INT64};
  static const int uints[] = {0, KIND_UINT8, KIND_UINT16, 0, KIND_UINT32, 0, 0, 0, KIND_UINT64};
  size_t size = H5Tget_size(type);
  int8_t no, yes;
  *length = 0;
  switch (H5Tget_class(type)) {
  case H5T_INTEGER: return if_readable(type, size > 8 ? 0 : H5Tget_sign(type) == H5T_SGN_NONE ? uints[size] : ints[size]);
  case H5T_FLOAT: return if_readable(type, size == 8 ? KIND_FLOAT64 : size == 4 || size == 2 ? KIND_FLOAT32 : 0);
  case H5T_STRING:
    if (H5Tis_variable_str(type) > 0) return KIND_VARTEXT;
    *length = size;
    return H5Tget_cset(type) == H5T_CSET_UTF8 ? KIND_TEXT : KIND_STRING;
  case H5T_ENUM:
    return size == 1 && H5Tget_nmembers(type) == 2 && H5Tenum_valueof(type, "FALSE", &no) >= 0 &&
                   H5Tenum_valueof(type, "TRUE", &yes) >= 0 && no == 0 && yes == 1
               ? KIND_BOOL
               : 0;
  default: return 0;
  }
}

// The type in memory to read a stored type as. Text keeps its character set,
// which libhdf5 does not convert, and is padded with NUL.
static hid_t memory_type(hid_t stored, int kind) {
  int text = kind == KIND_STRING || kind == KIND_TEXT;
  hid_t type;
  if (!text && kind != KIND_BOOL && kind != KIND_VARTEXT) return h5_element_type(kind, 0);
  type = H5Tcopy(stored);
  if (type >= 0 && text && H5Tset_strpad(type, H5T_STR_NULLPAD) < 0) {
    H5Tclose(type);
    return -1;
  }
  return type;
}

int h5_type_kind(hid_t type, size_t *length) { return kind_of(type, length); }

int h5_is_object_reference(hid_t type) { return H5Tequal(type, H5T_STD_REF_OBJ) > 0; }

// The value of a member of an enum, whose base is any whole number.
herr_t h5_enum_value(hid_t type, unsigned member, int64_t *value) {
  hid_t base = H5Tget_super(type);
  herr_t status = -1;
  if (base >= 0 && H5Tget_size(base) <= sizeof *value && H5Tget_member_value(type, member, value) >= 0)
    status = H5Tconvert(base, H5T_NATIVE_INT64, 1, value, NULL, H5P_DEFAULT);
  if (base >= 0) H5Tclose(base);
  return status;
}

static int is_null(hid_t space) { return H5Sget_simple_extent_type(space) == H5S_NULL; }

int h5_is_null(hid_t dataset) {
  hid_t space = H5Dget_space(dataset);
  int null = space >= 0 && is_null(space);
  if (space >= 0) H5Sclose(space);
  return null;
}

// The layout of a dataset, the shape of its chunks, and whether its values are in
// files of their own.
int h5_storage(hid_t dataset, hsize_t *chunk, int max, int *rank, int *outside) {
  hid_t creation = H5Dget_create_plist(dataset);
  int layout = creation < 0 ? -1 : (int)H5Pget_layout(creation);
  *rank = layout == H5D_CHUNKED ? H5Pget_chunk(creation, max, chunk) : 0;
  *outside = layout >= 0 && H5Pget_external_count(creation) > 0;
  if (creation >= 0) H5Pclose(creation);
  return *rank < 0 || *rank > max ? -1 : layout;
}

int h5_dataset_kind(hid_t dataset, size_t *length) {
  hid_t type = H5Dget_type(dataset);
  int kind = type < 0 ? -1 : kind_of(type, length);
  if (type >= 0) H5Tclose(type);
  return kind;
}

// What an element has that nobody wrote, as a kind, or with 0 as the stored type;
// its size is looked at again.
herr_t h5_fill(hid_t dataset, int kind, size_t size, void *value) {
  hid_t creation = H5Dget_create_plist(dataset), stored = H5Dget_type(dataset), type = -1;
  H5D_fill_value_t defined;
  herr_t status = -1;
  if (stored >= 0) type = kind == 0 ? H5Tcopy(stored) : memory_type(stored, kind);
  if (creation >= 0 && type >= 0 && H5Pfill_value_defined(creation, &defined) >= 0)
    status = defined != H5D_FILL_VALUE_USER_DEFINED || H5Tget_size(type) != size ? OTHER : H5Pget_fill_value(creation, type, value);
  if (type >= 0) H5Tclose(type);
  if (stored >= 0) H5Tclose(stored);
  if (creation >= 0) H5Pclose(creation);
  return status;
}

static herr_t move_rows(int write, hid_t dataset, hid_t type, int rank, const hsize_t *start, const hsize_t *count, void *buffer) {
  hid_t file = H5Dget_space(dataset), memory = rank == 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(rank, count, NULL);
  herr_t status = -1;
  if (file >= 0 && memory >= 0 && H5Sget_simple_extent_ndims(file) == rank &&
      (rank == 0 || H5Sselect_hyperslab(file, H5S_SELECT_SET, start, NULL, count, NULL) >= 0))
    status = write ? H5Dwrite(dataset, type, memory, file, H5P_DEFAULT, buffer)
                   : H5Dread(dataset, type, memory, file, H5P_DEFAULT, buffer);
  if (memory >= 0) H5Sclose(memory);
  if (file >= 0) H5Sclose(file);
  return status;
}

// The type is looked at again in the call that reads: the caller's buffer has
// room for elements of this kind and length only.
herr_t h5_read_as(hid_t dataset, int kind, int rank, const hsize_t *start, const hsize_t *count, void *buffer) {
  hid_t stored = H5Dget_type(dataset), type;
  size_t length;
  herr_t status = -1;
  if (stored < 0) return -1;
  if (kind_of(stored, &length) != kind || kind == KIND_VARTEXT) {
    H5Tclose(stored);
    return OTHER;
  }
  if ((type = memory_type(stored, kind)) >= 0) {
    status = move_rows(0, dataset, type, rank, start, count, buffer);
    H5Tclose(type);
  }
  H5Tclose(stored);
  return status;
}

herr_t h5_read_text(hid_t dataset, int rank, const hsize_t *start, const hsize_t *count, char **texts) {
  hid_t type = H5Dget_type(dataset);
  herr_t status = type < 0 ? -1 : H5Tis_variable_str(type) > 0 ? move_rows(0, dataset, type, rank, start, count, texts) : OTHER;
  if (type >= 0) H5Tclose(type);
  return status;
}

herr_t h5_write_text(hid_t dataset, int rank, const hsize_t *start, const hsize_t *count, char **texts) {
  hid_t type = H5Dget_type(dataset);
  herr_t status = type < 0 ? -1 : H5Tis_variable_str(type) > 0 ? move_rows(1, dataset, type, rank, start, count, texts) : OTHER;
  if (type >= 0) H5Tclose(type);
  return status;
}

void h5_free_texts(char **texts, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (texts[i] != NULL) H5free_memory(texts[i]);
  free(texts);
}

// The filters of a dataset in their order, and the size of a chunk before them,
// 0 if it is not in chunks.
int h5_filters(hid_t dataset, int *ids, int *optional, int *there, int *levels, int max, hsize_t *chunk_bytes) {
  hsize_t dims[H5S_MAX_RANK];
  hid_t creation = H5Dget_create_plist(dataset), type = H5Dget_type(dataset);
  int n = -1, rank;
  *chunk_bytes = 0;
  if (creation >= 0 && type >= 0 && H5Pget_layout(creation) != H5D_CHUNKED) n = 0;
  else if (creation >= 0 && type >= 0 && (rank = H5Pget_chunk(creation, H5S_MAX_RANK, dims)) >= 0) {
    *chunk_bytes = H5Tget_size(type);
    for (int i = 0; i < rank; i++) *chunk_bytes *= dims[i];
    n = H5Pget_nfilters(creation);
  }
  for (int i = 0; i < n && n <= max; i++) {
    unsigned flags, value = 0;
    size_t values = 1;
    if ((ids[i] = H5Pget_filter2(creation, (unsigned)i, &flags, &values, &value, 0, NULL, NULL)) < 0) n = -1;
    else {
      optional[i] = (flags & H5Z_FLAG_OPTIONAL) != 0;
      there[i] = H5Zfilter_avail(ids[i]) > 0;
      levels[i] = ids[i] == H5Z_FILTER_DEFLATE ? (int)value : 0;
    }
  }
  if (type >= 0) H5Tclose(type);
  if (creation >= 0) H5Pclose(creation);
  return n > max ? -1 : n;
}

// The bytes of all chunks that a row is in, before their filters, and how many
// chunks they are; as many as there can be, if they are more.
static uint64_t band(hid_t dataset, uint64_t *chunks) {
  hsize_t dims[H5S_MAX_RANK], chunk[H5S_MAX_RANK];
  hid_t creation = H5Dget_create_plist(dataset), type = H5Dget_type(dataset);
  int rank = h5_rank(dataset, dims, H5S_MAX_RANK);
  uint64_t bytes = 0;
  *chunks = 1;
  if (creation >= 0 && type >= 0 && rank > 0 && H5Pget_layout(creation) == H5D_CHUNKED && H5Pget_chunk(creation, H5S_MAX_RANK, chunk) == rank) {
    bytes = H5Tget_size(type);
    for (int i = 0; i < rank; i++) {
      uint64_t across = i == 0 || chunk[i] == 0 || dims[i] == 0 ? 1 : (dims[i] - 1) / chunk[i] + 1;
      if (__builtin_mul_overflow(*chunks, across, chunks) || __builtin_mul_overflow(bytes, across, &bytes) ||
          __builtin_mul_overflow(bytes, (uint64_t)chunk[i], &bytes)) {
        bytes = UINT64_MAX;
        *chunks = 1;
        break;
      }
    }
  }
  if (type >= 0) H5Tclose(type);
  if (creation >= 0) H5Pclose(creation);
  return bytes;
}

enum { SLOTS_MAX = 1 << 16, SLOTS_EACH = 8, CACHE_DEFAULT = 1 << 20 };

// Opens a dataset with a cache that keeps all chunks that a row is in, if they take
// no more than most, and tells how much it may take. A dataset that is open already
// keeps its cache.
hid_t h5_open_cached(hid_t file, const char *name, uint64_t most, uint64_t *bytes) {
  hid_t dataset = H5Dopen2(file, name, H5P_DEFAULT), access;
  uint64_t chunks, slots;
  if (dataset < 0) return -1;
  *bytes = band(dataset, &chunks);
  if (*bytes <= CACHE_DEFAULT || *bytes > most) {
    *bytes = CACHE_DEFAULT;
    return dataset;
  }
  slots = chunks > SLOTS_MAX ? SLOTS_MAX : chunks;
  if (H5Dclose(dataset) < 0 || (access = H5Pcreate(H5P_DATASET_ACCESS)) < 0) return -1;
  dataset = H5Pset_chunk_cache(access, SLOTS_EACH * slots + 1, *bytes, 1.0) < 0 ? -1 : H5Dopen2(file, name, access);
  H5Pclose(access);
  return dataset;
}

// How much of a dataset is in the file: 0 if nobody wrote anything of it.
int64_t h5_stored_bytes(hid_t dataset) {
  hsize_t bytes = H5Dget_storage_size(dataset);
  if (bytes == 0 && h5_reason()[0] != '\0') return -1;
  return bytes > INT64_MAX ? INT64_MAX : (int64_t)bytes;
}

// The number of the chunk whose first element is at a place.
static uint64_t chunk_number(int rank, const hsize_t *dims, const hsize_t *chunk, const hsize_t *at) {
  uint64_t number = 0;
  for (int i = 0; i < rank; i++) {
    if (chunk[i] == 0 || at[i] >= dims[i] || at[i] % chunk[i] != 0) return UINT64_MAX;
    number = number * ((dims[i] - 1) / chunk[i] + 1) + at[i] / chunk[i];
  }
  return number;
}

static herr_t user_block(hid_t dataset, hsize_t *bytes) {
  hid_t file = H5Iget_file_id(dataset), creation = file < 0 ? -1 : H5Fget_create_plist(file);
  herr_t status = creation < 0 ? -1 : H5Pget_userblock(creation, bytes);
  if (creation >= 0) H5Pclose(creation);
  if (file >= 0) H5Fclose(file);
  return status;
}

// Where the header of a dataset or a group lies. It is of 0 bytes if it is in several pieces.
// The call is an early one that all versions have in the same form.
herr_t h5_header(hid_t object, uint64_t *address, uint64_t *bytes) {
  H5G_stat_t about;
  hsize_t before;
  if (H5Gget_objinfo(object, ".", 0, &about) < 0 || user_block(object, &before) < 0) return -1;
  *address = about.objno[0] + before; // the second is for addresses that do not fit in one
  *bytes = about.ohdr.nchunks == 1 ? about.ohdr.size : 0;
  return 0;
}

// What is to be added to the address of a chunk: before 1.14.4 libhdf5 leaves the
// user block out of it, though not out of H5Dget_offset.
static herr_t before_chunks(hid_t dataset, hsize_t *bytes) {
#if H5_VERSION_GE(1, 14, 4)
  (void)dataset;
  *bytes = 0;
  return 0;
#else
  return user_block(dataset, bytes);
#endif
}

// The chunks of a dataset, and their number, of which there may be more; the
// rows of a chunk, and how many chunks a row is in.
int64_t h5_chunks(hid_t dataset, struct chunk *chunks, size_t max, uint64_t *rows, uint64_t *across) {
  hsize_t n = 0, before, at[H5S_MAX_RANK], dims[H5S_MAX_RANK], chunk[H5S_MAX_RANK];
  hid_t space = H5Dget_space(dataset), creation = H5Dget_create_plist(dataset);
  int rank = h5_rank(dataset, dims, H5S_MAX_RANK);
  herr_t status = space < 0 || creation < 0 || rank < 0 || H5Pget_chunk(creation, H5S_MAX_RANK, chunk) != rank
                      ? -1
                      : H5Dget_num_chunks(dataset, space, &n);
  if (status >= 0) status = before_chunks(dataset, &before);
  *rows = 1, *across = 1;
  for (int i = 0; status >= 0 && i < rank; i++) {
    if (chunk[i] == 0) status = -1;
    else if (i == 0) *rows = chunk[i];
    else if (dims[i] > 0) *across *= (dims[i] - 1) / chunk[i] + 1;
  }
  for (hsize_t i = 0; status >= 0 && i < n && n <= max; i++) {
    haddr_t address;
    hsize_t bytes;
    status = H5Dget_chunk_info(dataset, space, i, at, &chunks[i].skipped, &address, &bytes);
    chunks[i].first = at[0];
    chunks[i].number = chunk_number(rank, dims, chunk, at);
    chunks[i].address = address + before;
    chunks[i].bytes = bytes;
  }
  if (creation >= 0) H5Pclose(creation);
  if (space >= 0) H5Sclose(space);
  return status < 0 ? -1 : (int64_t)n;
}

// Opens a file for reading whose size or flags say that its writer has not
// closed it. libhdf5 has properties for that, which its tool h5clear uses; what
// lies beyond the end of the file reads as zeros.
hid_t h5_open_unclosed(const char *path) {
  hbool_t yes = 1;
  hid_t access = H5Pcreate(H5P_FILE_ACCESS), file = -1;
  if (access < 0) return -1;
  if (H5Pset(access, "skip_eof_check", &yes) >= 0 && H5Pset(access, "clear_status_flags", &yes) >= 0)
    file = H5Fopen(path, H5F_ACC_RDONLY, access);
  H5Pclose(access);
  return file;
}

// Links into other files are not followed, whoever asks: they may lead to anything
// on the machine. Their class is replaced by one that tells what they are.
static ssize_t tell_link(const char *name, const void *link, size_t size, void *buffer, size_t room) {
  (void)name;
  if (buffer != NULL) memcpy(buffer, link, size < room ? size : room);
  return (ssize_t)size;
}

static hid_t refuse_link(const char *name, hid_t group, const void *link, size_t size, hid_t access
#if H5L_LINK_CLASS_T_VERS >= 1
                         , hid_t transfer
#endif
) {
  (void)name, (void)group, (void)link, (void)size, (void)access;
#if H5L_LINK_CLASS_T_VERS >= 1
  (void)transfer;
#endif
  return -1;
}

herr_t h5_stay_in_file(void) {
  H5L_class_t external = {H5L_LINK_CLASS_T_VERS, H5L_TYPE_EXTERNAL, "external", NULL, NULL, NULL, refuse_link, NULL, tell_link};
  return H5Lregister(&external);
}

// A list of names, each after a letter for what it is, and ended by NUL.
struct list {
  char *bytes;
  size_t used, size;
};

enum { LIST_BYTES_MAX = 1 << 28 };

static herr_t add_entry(struct list *l, char what, const char *name) {
  size_t need = strlen(name) + 2;
  if (l->used + need > l->size) {
    size_t size = 2 * (l->size + need);
    char *bytes = size > LIST_BYTES_MAX ? NULL : realloc(l->bytes, size);
    if (bytes == NULL) return -1;
    l->bytes = bytes;
    l->size = size;
  }
  l->bytes[l->used] = what;
  memcpy(l->bytes + l->used + 1, name, need - 1);
  l->used += need;
  return 0;
}

enum { LINK_BYTES_MAX = 1 << 16 };

// Adds a link that leads to nothing in this file, and after it where it leads: the
// name of the other file and the path in it, or the path. With what it is told as
// a link that was followed.
static herr_t add_link(hid_t group, const char *name, const H5L_info_t *link, char what, struct list *l) {
  size_t size = link->u.val_size;
  char *value = size > LINK_BYTES_MAX ? NULL : calloc(1, size + 1);
  const char *target = value, *path = "";
  unsigned flags;
  int external = link->type == H5L_TYPE_EXTERNAL;
  herr_t status;
  if (value == NULL || H5Lget_val(group, name, value, size, H5P_DEFAULT) < 0 ||
      (external && H5Lunpack_elink_val(value, size, &flags, &target, &path) < 0))
    target = path = "";
  status = add_entry(l, what, name);
  if (status >= 0) status = add_entry(l, '>', target);
  if (status >= 0 && external) status = add_entry(l, '/', path);
  free(value);
  return status;
}

static herr_t add_name(hid_t group, const char *name, const H5L_info_t *link, void *data) {
  int soft = link->type == H5L_TYPE_SOFT;
  char what = 'l';
  if (link->type == H5L_TYPE_EXTERNAL) return add_link(group, name, link, 'e', data);
  if (link->type == H5L_TYPE_HARD || soft) {
    hid_t object = H5Oopen(group, name, H5P_DEFAULT);
    H5I_type_t type = object < 0 ? H5I_BADID : H5Iget_type(object);
    what = type == H5I_DATASET ? 'd' : type == H5I_GROUP ? soft ? 'l' : 'g' : object < 0 ? '?' : 't'; // soft links to groups can go in circles
    if (object >= 0) H5Oclose(object);
    if (soft && add_link(group, name, link, object < 0 ? 's' : 'f', data) < 0) return -1;
    if (soft && object < 0) return 0;
  }
  return add_entry(data, what, name);
}

ssize_t h5_list(hid_t file, const char *group, char **names) {
  struct list l = {NULL, 0, 0};
  hid_t id = H5Gopen2(file, group, H5P_DEFAULT);
  herr_t status = id < 0 ? -1 : H5Literate(id, H5_INDEX_NAME, H5_ITER_INC, NULL, add_name, &l);
  if (id >= 0) H5Gclose(id);
  if (status < 0) {
    free(l.bytes);
    return -1;
  }
  *names = l.bytes;
  return (ssize_t)l.used;
}

hid_t h5_open_object(hid_t file, const char *path) { return H5Oopen(file, path, H5P_DEFAULT); }

herr_t h5_close_object(hid_t object) { return H5Oclose(object); }

int h5_attributes(hid_t object) { return H5Aget_num_attrs(object); }

static hid_t attribute(hid_t object, int i) {
  return H5Aopen_by_idx(object, ".", H5_INDEX_NAME, H5_ITER_INC, (hsize_t)i, H5P_DEFAULT, H5P_DEFAULT);
}

ssize_t h5_attribute_name(hid_t object, int i, char *name, size_t size) {
  return H5Aget_name_by_idx(object, ".", H5_INDEX_NAME, H5_ITER_INC, (hsize_t)i, name, size, H5P_DEFAULT);
}

hid_t h5_attribute_type(hid_t object, int i) {
  hid_t a = attribute(object, i), type = a < 0 ? -1 : H5Aget_type(a);
  if (a >= 0) H5Aclose(a);
  return type;
}

int h5_attribute_shape(hid_t object, int i, int *kind, size_t *length, int *null, hsize_t *dims, int max) {
  hid_t a = attribute(object, i), type, space;
  int rank = -1;
  if (a < 0) return -1;
  type = H5Aget_type(a);
  space = H5Aget_space(a);
  if (type >= 0 && space >= 0) {
    *null = is_null(space);
    *kind = *null ? 0 : kind_of(type, length);
    rank = H5Sget_simple_extent_ndims(space);
    if (rank > max || (rank > 0 && H5Sget_simple_extent_dims(space, dims, NULL) < 0)) rank = -1;
  }
  if (space >= 0) H5Sclose(space);
  if (type >= 0) H5Tclose(type);
  H5Aclose(a);
  return rank;
}

herr_t h5_attribute_read(hid_t object, int i, int kind, void *values) {
  hid_t a = attribute(object, i), stored, type;
  herr_t status = -1;
  if (a < 0) return -1;
  if ((stored = H5Aget_type(a)) >= 0) {
    if ((type = memory_type(stored, kind)) >= 0) {
      status = H5Aread(a, type, values);
      H5Tclose(type);
    }
    H5Tclose(stored);
  }
  H5Aclose(a);
  return status;
}
