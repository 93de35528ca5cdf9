/*
 * The tree that every server of the benchmark shows: folders of many files, one large file whose
 * content is computed, one that swallows what is written, and one folder to make files in.
 */
#ifndef BENCH_TREE_H_
#define BENCH_TREE_H_

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

#define PATTERN_BYTES (64ul << 20)
#define BIG_BYTES (2ul << 30)
#define BLOCK_BYTES 4096ul

enum content { STORED, PATTERN, DISCARDED };

struct node {
  uint64_t number;
  mode_t mode;
  uint64_t bytes;
  bool linked;
  int open_handles;
  int64_t lookups;
  time_t mtime;
  enum content content;
  /* Contents of a STORED file, in blocks that are made when written. */
  char **blocks;
  size_t block_count;
  /* Names of a directory, in the order they were made. */
  struct name *first, *last;
  size_t name_count;
};

struct name {
  char *text;
  struct node *directory, *node;
  struct name *previous, *next, *next_in_bucket;
};

extern struct node *tree_root;
extern char *tree_pattern;

void tree_plant(void);
struct name *tree_find(struct node *directory, const char *text);
struct node *tree_make(struct node *directory, const char *text, mode_t mode);
void tree_unlink(struct name *name);
/* Frees `node` once no name, no reference of the kernel and no handle is left. */
void tree_drop_unused(struct node *node);
void tree_stat(const struct node *node, struct stat *attributes);
/* Where the bytes at `offset` are, and how many of `wanted` lie together; NULL at the end. */
const char *tree_bytes(const struct node *node, uint64_t offset, size_t *wanted);
void tree_write(struct node *node, uint64_t offset, const char *bytes, size_t count);

#endif
