#define _GNU_SOURCE
#include "tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A power of two, about twice the names of the tree. */
#define BUCKETS (1u << 18)

struct node *tree_root;
char *tree_pattern;

static struct name *buckets[BUCKETS];
static uint64_t next_number = 1;
static const char zeros[BLOCK_BYTES];

/* FNV-1a over the name, started with the directory so that equal names spread. */
static struct name **bucket_of(const struct node *directory, const char *text) {
  uint32_t hash = 2166136261u ^ ((uint32_t)directory->number * 2654435761u);
  for (; *text != '\0'; text++) hash = (hash ^ (uint8_t)*text) * 16777619u;
  return &buckets[hash & (BUCKETS - 1)];
}

static struct node *make_node(mode_t mode) {
  struct node *node = calloc(1, sizeof *node);
  node->number = next_number++;
  node->mode = mode;
  node->linked = true;
  node->mtime = time(NULL);
  return node;
}

struct name *tree_find(struct node *directory, const char *text) {
  for (struct name *name = *bucket_of(directory, text); name; name = name->next_in_bucket) {
    if (name->directory == directory && strcmp(name->text, text) == 0) return name;
  }
  return NULL;
}

struct node *tree_make(struct node *directory, const char *text, mode_t mode) {
  struct name *name = calloc(1, sizeof *name);
  name->text = strdup(text);
  name->directory = directory;
  name->node = make_node(mode);
  struct name **bucket = bucket_of(directory, text);
  name->next_in_bucket = *bucket;
  *bucket = name;
  name->previous = directory->last;
  if (directory->last) directory->last->next = name;
  else directory->first = name;
  directory->last = name;
  directory->name_count++;
  return name->node;
}

void tree_unlink(struct name *name) {
  struct node *directory = name->directory;
  struct name **at = bucket_of(directory, name->text);
  while (*at != name) at = &(*at)->next_in_bucket;
  *at = name->next_in_bucket;
  if (name->previous) name->previous->next = name->next;
  else directory->first = name->next;
  if (name->next) name->next->previous = name->previous;
  else directory->last = name->previous;
  directory->name_count--;
  name->node->linked = false;
  tree_drop_unused(name->node);
  free(name->text);
  free(name);
}

void tree_drop_unused(struct node *node) {
  if (node->linked || node->lookups > 0 || node->open_handles > 0) return;
  for (size_t at = 0; at < node->block_count; at++) free(node->blocks[at]);
  free(node->blocks);
  free(node);
}

void tree_stat(const struct node *node, struct stat *attributes) {
  memset(attributes, 0, sizeof *attributes);
  attributes->st_ino = node->number;
  attributes->st_mode = node->mode;
  attributes->st_size = (off_t)node->bytes;
  attributes->st_nlink = S_ISDIR(node->mode) ? 2 : 1;
  attributes->st_uid = getuid();
  attributes->st_gid = getgid();
  attributes->st_mtime = attributes->st_atime = attributes->st_ctime = node->mtime;
  attributes->st_blksize = BLOCK_BYTES;
  attributes->st_blocks = (blkcnt_t)((node->bytes + 511) / 512);
}

const char *tree_bytes(const struct node *node, uint64_t offset, size_t *wanted) {
  if (offset >= node->bytes) return NULL;
  if (offset + *wanted > node->bytes) *wanted = node->bytes - offset;
  if (node->content == PATTERN) {
    const size_t at = offset % PATTERN_BYTES;
    if (*wanted > PATTERN_BYTES - at) *wanted = PATTERN_BYTES - at;
    return tree_pattern + at;
  }
  const size_t block = offset / BLOCK_BYTES;
  const size_t within = offset % BLOCK_BYTES;
  if (*wanted > BLOCK_BYTES - within) *wanted = BLOCK_BYTES - within;
  const bool stored = block < node->block_count && node->blocks[block] != NULL;
  return stored ? node->blocks[block] + within : zeros;
}

static char *block_for_writing(struct node *node, size_t block) {
  if (block >= node->block_count) {
    const size_t count = block + 1;
    node->blocks = realloc(node->blocks, count * sizeof *node->blocks);
    memset(node->blocks + node->block_count, 0,
           (count - node->block_count) * sizeof *node->blocks);
    node->block_count = count;
  }
  if (node->blocks[block] == NULL) node->blocks[block] = calloc(1, BLOCK_BYTES);
  return node->blocks[block];
}

void tree_write(struct node *node, uint64_t offset, const char *bytes, size_t count) {
  if (offset + count > node->bytes) node->bytes = offset + count;
  if (node->content != STORED) return;
  while (count > 0) {
    const size_t within = offset % BLOCK_BYTES;
    const size_t part = count < BLOCK_BYTES - within ? count : BLOCK_BYTES - within;
    memcpy(block_for_writing(node, offset / BLOCK_BYTES) + within, bytes, part);
    offset += part;
    bytes += part;
    count -= part;
  }
}

static void plant_folder(const char *text, int count) {
  struct node *folder = tree_make(tree_root, text, S_IFDIR | 0777);
  for (int at = 0; at < count; at++) {
    char file[16];
    snprintf(file, sizeof file, "f%06d", at);
    tree_make(folder, file, S_IFREG | 0644);
  }
}

void tree_plant(void) {
  tree_pattern = malloc(PATTERN_BYTES);
  for (size_t at = 0; at < PATTERN_BYTES; at += BLOCK_BYTES) {
    memset(tree_pattern + at, (int)(at / BLOCK_BYTES), BLOCK_BYTES);
  }
  tree_root = make_node(S_IFDIR | 0777);
  struct node *big = tree_make(tree_root, "big", S_IFREG | 0644);
  big->bytes = BIG_BYTES;
  big->content = PATTERN;
  tree_make(tree_root, "null", S_IFREG | 0666)->content = DISCARDED;
  plant_folder("many-10k", 10000);
  plant_folder("list-10k-a", 10000);
  plant_folder("list-10k-b", 10000);
  plant_folder("list-10k-c", 10000);
  plant_folder("list-100k", 100000);
  tree_make(tree_root, "made", S_IFDIR | 0777);
}
