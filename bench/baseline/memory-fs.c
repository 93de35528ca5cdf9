/*
 * `memory-fs MOUNTPOINT ATTRIBUTE_SECONDS [threads]`: the yardstick. The tree of tree.c, served by
 * libfuse 3's low-level interface: with one thread, or with eight and a cloned descriptor each.
 * Node ids are the addresses of nodes, as in libfuse's own examples; 1 is the root. Prints `ready`
 * when it is mounted, and serves until SIGTERM.
 */
#define FUSE_USE_VERSION 314
#define _GNU_SOURCE
#include <errno.h>
#include <fuse_lowlevel.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tree.h"

/* The largest READ and WRITE of the protocol: 256 pages. */
#define REQUEST_BYTES (1u << 20)
#define NAME_SECONDS 60.0
/* Requests that nobody waits for; libfuse's 12 would throttle the kernel's read-ahead. */
#define MAX_BACKGROUND 64
#define CONGESTION_THRESHOLD 48
#define MAX_THREADS 8
#define PERMISSION_BITS 07777

static double attribute_seconds;
/* The whole tree: operations are short, and one thread never waits for it. */
static pthread_mutex_t tree_lock = PTHREAD_MUTEX_INITIALIZER;

/* A directory being listed: its names as they were at the start. */
struct listing {
  struct node *directory;
  struct name **names;
  size_t count;
};

static struct node *node_of(fuse_ino_t id) {
  return id == FUSE_ROOT_ID ? tree_root : (struct node *)id;
}

static fuse_ino_t id_of(const struct node *node) {
  return node == tree_root ? FUSE_ROOT_ID : (fuse_ino_t)node;
}

/* Path walks check the permissions of folders: theirs may always be remembered. */
static double seconds_of(const struct node *node) {
  return S_ISDIR(node->mode) ? NAME_SECONDS : attribute_seconds;
}

/* A reference for the kernel, with what it may remember. */
static void refer(struct node *node, struct fuse_entry_param *entry) {
  memset(entry, 0, sizeof *entry);
  entry->ino = id_of(node);
  entry->attr_timeout = seconds_of(node);
  entry->entry_timeout = NAME_SECONDS;
  tree_stat(node, &entry->attr);
  node->lookups++;
}

static void forget_one(fuse_ino_t id, uint64_t count) {
  struct node *node = node_of(id);
  node->lookups -= (int64_t)count;
  if (node != tree_root) tree_drop_unused(node);
}

static void init(void *data, struct fuse_conn_info *connection) {
  (void)data;
  connection->max_write = REQUEST_BYTES;
  connection->max_read = REQUEST_BYTES;
  connection->max_background = MAX_BACKGROUND;
  connection->congestion_threshold = CONGESTION_THRESHOLD;
  /* Contents lie in memory already: splicing would only add a pipe. */
  connection->want &= ~(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE);
}

static void lookup(fuse_req_t request, fuse_ino_t parent, const char *text) {
  struct fuse_entry_param entry;
  pthread_mutex_lock(&tree_lock);
  struct name *name = tree_find(node_of(parent), text);
  if (name) refer(name->node, &entry);
  pthread_mutex_unlock(&tree_lock);
  if (name) fuse_reply_entry(request, &entry);
  else fuse_reply_err(request, ENOENT);
}

static void forget(fuse_req_t request, fuse_ino_t id, uint64_t count) {
  pthread_mutex_lock(&tree_lock);
  forget_one(id, count);
  pthread_mutex_unlock(&tree_lock);
  fuse_reply_none(request);
}

static void forget_multi(fuse_req_t request, size_t count, struct fuse_forget_data *forgets) {
  pthread_mutex_lock(&tree_lock);
  for (size_t at = 0; at < count; at++) forget_one(forgets[at].ino, forgets[at].nlookup);
  pthread_mutex_unlock(&tree_lock);
  fuse_reply_none(request);
}

static void reply_attributes(fuse_req_t request, const struct node *node) {
  struct stat attributes;
  tree_stat(node, &attributes);
  fuse_reply_attr(request, &attributes, seconds_of(node));
}

static void getattr(fuse_req_t request, fuse_ino_t id, struct fuse_file_info *file) {
  (void)file;
  reply_attributes(request, node_of(id));
}

static void setattr(fuse_req_t request, fuse_ino_t id, struct stat *changes, int which,
                    struct fuse_file_info *file) {
  (void)file;
  struct node *node = node_of(id);
  pthread_mutex_lock(&tree_lock);
  if (which & FUSE_SET_ATTR_SIZE) node->bytes = (uint64_t)changes->st_size;
  if (which & FUSE_SET_ATTR_MODE) {
    node->mode = (node->mode & ~PERMISSION_BITS) | (changes->st_mode & PERMISSION_BITS);
  }
  pthread_mutex_unlock(&tree_lock);
  reply_attributes(request, node);
}

static void open_file(fuse_req_t request, fuse_ino_t id, struct fuse_file_info *file) {
  struct node *node = node_of(id);
  pthread_mutex_lock(&tree_lock);
  node->open_handles++;
  pthread_mutex_unlock(&tree_lock);
  file->fh = (uint64_t)node;
  fuse_reply_open(request, file);
}

static void create(fuse_req_t request, fuse_ino_t parent, const char *text, mode_t mode,
                   struct fuse_file_info *file) {
  struct fuse_entry_param entry;
  pthread_mutex_lock(&tree_lock);
  struct name *existing = tree_find(node_of(parent), text);
  struct node *node = existing
                          ? existing->node
                          : tree_make(node_of(parent), text, S_IFREG | (mode & PERMISSION_BITS));
  node->open_handles++;
  refer(node, &entry);
  pthread_mutex_unlock(&tree_lock);
  file->fh = (uint64_t)node;
  fuse_reply_create(request, &entry, file);
}

static void read_file(fuse_req_t request, fuse_ino_t id, size_t count, off_t offset,
                      struct fuse_file_info *file) {
  (void)id;
  const struct node *node = (const struct node *)file->fh;
  const char *bytes = tree_bytes(node, (uint64_t)offset, &count);
  fuse_reply_buf(request, bytes, bytes ? count : 0);
}

static void write_file(fuse_req_t request, fuse_ino_t id, const char *bytes, size_t count,
                       off_t offset, struct fuse_file_info *file) {
  (void)id;
  pthread_mutex_lock(&tree_lock);
  tree_write((struct node *)file->fh, (uint64_t)offset, bytes, count);
  pthread_mutex_unlock(&tree_lock);
  fuse_reply_write(request, count);
}

static void succeed(fuse_req_t request, fuse_ino_t id, struct fuse_file_info *file) {
  (void)id;
  (void)file;
  fuse_reply_err(request, 0);
}

static void fsync_file(fuse_req_t request, fuse_ino_t id, int data_only,
                       struct fuse_file_info *file) {
  (void)data_only;
  succeed(request, id, file);
}

static void release(fuse_req_t request, fuse_ino_t id, struct fuse_file_info *file) {
  (void)id;
  struct node *node = (struct node *)file->fh;
  pthread_mutex_lock(&tree_lock);
  node->open_handles--;
  tree_drop_unused(node);
  pthread_mutex_unlock(&tree_lock);
  fuse_reply_err(request, 0);
}

static void unlink_file(fuse_req_t request, fuse_ino_t parent, const char *text) {
  pthread_mutex_lock(&tree_lock);
  struct name *name = tree_find(node_of(parent), text);
  if (name) tree_unlink(name);
  pthread_mutex_unlock(&tree_lock);
  fuse_reply_err(request, name ? 0 : ENOENT);
}

static void open_directory(fuse_req_t request, fuse_ino_t id, struct fuse_file_info *file) {
  struct listing *listing = calloc(1, sizeof *listing);
  listing->directory = node_of(id);
  file->fh = (uint64_t)listing;
  fuse_reply_open(request, file);
}

static void release_directory(fuse_req_t request, fuse_ino_t id, struct fuse_file_info *file) {
  (void)id;
  struct listing *listing = (struct listing *)file->fh;
  free(listing->names);
  free(listing);
  fuse_reply_err(request, 0);
}

static void take_names(struct listing *listing) {
  free(listing->names);
  listing->names = malloc((listing->directory->name_count + 1) * sizeof *listing->names);
  listing->count = 0;
  for (struct name *name = listing->directory->first; name; name = name->next) {
    listing->names[listing->count++] = name;
  }
}

/* Adds the entry of `cookie` at `at`; 0 is '.', 1 is '..'. Returns its bytes, or 0 without room. */
static size_t add_entry(fuse_req_t request, const struct listing *listing, size_t cookie, char *at,
                        size_t room, bool plus) {
  const bool dot = cookie < 2;
  const char *text = dot ? (cookie == 0 ? "." : "..") : listing->names[cookie - 2]->text;
  struct node *node = dot ? listing->directory : listing->names[cookie - 2]->node;
  struct fuse_entry_param entry = {0};
  size_t bytes;
  if (plus && !dot) refer(node, &entry);
  else tree_stat(node, &entry.attr);
  if (plus) bytes = fuse_add_direntry_plus(request, at, room, text, &entry, (off_t)cookie + 1);
  else bytes = fuse_add_direntry(request, at, room, text, &entry.attr, (off_t)cookie + 1);
  if (bytes <= room) return bytes;
  if (plus && !dot) node->lookups--;
  return 0;
}

static void list(fuse_req_t request, size_t room, off_t offset, struct fuse_file_info *file,
                 bool plus) {
  static __thread char buffer[REQUEST_BYTES];
  struct listing *listing = (struct listing *)file->fh;
  if (room > sizeof buffer) room = sizeof buffer;
  size_t used = 0;
  pthread_mutex_lock(&tree_lock);
  if (offset == 0 || listing->names == NULL) take_names(listing);
  for (size_t cookie = (size_t)offset; cookie < listing->count + 2; cookie++) {
    const size_t bytes = add_entry(request, listing, cookie, buffer + used, room - used, plus);
    if (bytes == 0) break;
    used += bytes;
  }
  pthread_mutex_unlock(&tree_lock);
  fuse_reply_buf(request, buffer, used);
}

static void read_directory(fuse_req_t request, fuse_ino_t id, size_t room, off_t offset,
                           struct fuse_file_info *file) {
  (void)id;
  list(request, room, offset, file, false);
}

static void read_directory_plus(fuse_req_t request, fuse_ino_t id, size_t room, off_t offset,
                                struct fuse_file_info *file) {
  (void)id;
  list(request, room, offset, file, true);
}

static const struct fuse_lowlevel_ops operations = {
    .init = init,
    .lookup = lookup,
    .forget = forget,
    .forget_multi = forget_multi,
    .getattr = getattr,
    .setattr = setattr,
    .open = open_file,
    .create = create,
    .read = read_file,
    .write = write_file,
    .flush = succeed,
    .fsync = fsync_file,
    .release = release,
    .unlink = unlink_file,
    .opendir = open_directory,
    .readdir = read_directory,
    .readdirplus = read_directory_plus,
    .releasedir = release_directory,
};

static int serve(struct fuse_session *session, bool threads) {
  if (!threads) return fuse_session_loop(session);
  struct fuse_loop_config *config = fuse_loop_cfg_create();
  fuse_loop_cfg_set_clone_fd(config, 1);
  fuse_loop_cfg_set_max_threads(config, MAX_THREADS);
  const int result = fuse_session_loop_mt(session, config);
  fuse_loop_cfg_destroy(config);
  return result;
}

int main(int count, char **words) {
  if (count < 3) {
    fprintf(stderr, "usage: %s MOUNTPOINT ATTRIBUTE_SECONDS [threads]\n", words[0]);
    return 2;
  }
  attribute_seconds = atof(words[2]);
  tree_plant();
  char *options[] = {words[0], "-oallow_other,default_permissions,max_read=1048576", NULL};
  struct fuse_args arguments = FUSE_ARGS_INIT(2, options);
  struct fuse_session *session =
      fuse_session_new(&arguments, &operations, sizeof operations, NULL);
  if (session == NULL || fuse_set_signal_handlers(session) != 0 ||
      fuse_session_mount(session, words[1]) != 0) {
    return 1;
  }
  puts("ready");
  fflush(stdout);
  serve(session, count > 3);
  fuse_session_unmount(session);
  fuse_session_destroy(session);
  return 0;
}
