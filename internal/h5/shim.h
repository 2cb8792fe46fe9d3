// The calls of libhdf5 that gonum.org/v1/hdf5 lacks, or makes in a way that
// corrupts memory. Each works on identifiers that gonum opened.
#ifndef WINDROW_H5_SHIM_H
#define WINDROW_H5_SHIM_H

#include <hdf5.h>
#include <hdf5_hl.h>
#include <stdint.h>

// Kinds of elements, as in type.go.
enum {
  KIND_FLOAT64 = 1, KIND_FLOAT32, KIND_INT64, KIND_INT32, KIND_INT8, KIND_STRING,
  KIND_INT16, KIND_UINT8, KIND_UINT16, KIND_UINT32, KIND_UINT64, KIND_BOOL, KIND_TEXT, KIND_VARTEXT
};

// What a getter returns that found something else than it was asked for.
enum { OTHER = 1 };

void h5_listen(void);
const char *h5_reason(void);

herr_t h5_create_file(const char *path, int v110);
herr_t h5_set_bounds(hid_t file, int v110);
ssize_t h5_open_objects(hid_t file);
herr_t h5_close_on_exec(hid_t file);

hid_t h5_element_type(int kind, size_t length); // in a file that windrow writes; the caller closes it
herr_t h5_create_group(hid_t file, const char *name);
herr_t h5_create_dataset(hid_t file, const char *name, int kind, size_t length, int rank, const hsize_t *dims, hsize_t chunk_rows, int level);
herr_t h5_write_scalar(hid_t dataset, int kind, const void *value);
int h5_layout(hid_t dataset, hsize_t *chunk_rows, int *level);
herr_t h5_write_chunk(hid_t dataset, hsize_t first, size_t size, const void *chunk);
int64_t h5_chunk_size(hid_t dataset, hsize_t first); // as it is in the file
herr_t h5_read_chunk(hid_t dataset, hsize_t first, void *chunk);
int64_t h5_offset(hid_t dataset);
int h5_is_type(hid_t dataset, int kind, size_t length);
int h5_is_plain(hid_t dataset); // neither pointers nor members in its elements
int h5_rank(hid_t dataset, hsize_t *dims, int max);

// A chunk as the index of a dataset has it.
struct chunk {
  uint64_t first, number; // the first row; in the order of their elements, UINT64_MAX for one that is none of the dataset's
  uint64_t address, bytes;
  uint32_t skipped; // a bit for each filter that was not applied
};

// What files of other programs have: see stored.go.
int h5_filters(hid_t dataset, int *ids, int *optional, int *there, int *levels, int max, hsize_t *chunk_bytes);
int h5_storage(hid_t dataset, hsize_t *chunk, int max, int *rank, int *outside);
int h5_is_null(hid_t dataset);
int h5_type_kind(hid_t type, size_t *length);
int h5_is_object_reference(hid_t type);
herr_t h5_enum_value(hid_t type, unsigned member, int64_t *value);
herr_t h5_header(hid_t object, uint64_t *address, uint64_t *bytes);
int64_t h5_chunks(hid_t dataset, struct chunk *chunks, size_t max, uint64_t *rows, uint64_t *across);
int h5_dataset_kind(hid_t dataset, size_t *length);
hid_t h5_open_cached(hid_t file, const char *name, uint64_t most, uint64_t *bytes);
int64_t h5_stored_bytes(hid_t dataset);
herr_t h5_fill(hid_t dataset, int kind, size_t size, void *value); // OTHER: zeros
herr_t h5_read_as(hid_t dataset, int kind, int rank, const hsize_t *start, const hsize_t *count, void *buffer);
herr_t h5_read_text(hid_t dataset, int rank, const hsize_t *start, const hsize_t *count, char **texts);
herr_t h5_write_text(hid_t dataset, int rank, const hsize_t *start, const hsize_t *count, char **texts);
void h5_free_texts(char **texts, size_t n);
hid_t h5_open_unclosed(const char *path);
herr_t h5_stay_in_file(void);
ssize_t h5_list(hid_t file, const char *group, char **names);
hid_t h5_open_object(hid_t file, const char *path);
herr_t h5_close_object(hid_t object);
int h5_attributes(hid_t object);
ssize_t h5_attribute_name(hid_t object, int i, char *name, size_t size);
hid_t h5_attribute_type(hid_t object, int i); // the caller closes it
int h5_attribute_shape(hid_t object, int i, int *kind, size_t *length, int *null, hsize_t *dims, int max);
herr_t h5_attribute_read(hid_t object, int i, int kind, void *values);

herr_t h5_set_string(hid_t object, const char *name, const char *value);
herr_t h5_set_numbers(hid_t object, const char *name, int kind, int count, const void *values);
herr_t h5_get_string(hid_t object, const char *name, char **value);
herr_t h5_get_int(hid_t object, const char *name, int64_t *value);

#endif
