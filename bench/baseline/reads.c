/*
 * How programs read files, timed from their side. Each prints one line of JSON.
 *   reads random FILE PROCESSES < OFFSETS   4 KiB at each offset (one a line), past the page cache;
 *                                           each must begin with its offset (stores/contents.ts)
 *   reads stat FOLDER < NAMES               stat(2) of each name (one a line)
 *   reads whole FOLDER FILES                each of FOLDER/f000… by a process of its own, at once
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BLOCK_BYTES 4096
#define CHUNK_BYTES (1 << 20)
#define PATH_BYTES 4096

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void fail(const char *what) {
  perror(what);
  _exit(1);
}

static void *shared(size_t bytes) {
  void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) fail("mmap");
  return memory;
}

static int by_size(const void *a, const void *b) {
  const double left = *(const double *)a;
  const double right = *(const double *)b;
  return (left > right) - (left < right);
}

/* Ends when all processes have; 0 when all went well. */
static int wait_for_all(void) {
  int status = 0;
  int failed = 0;
  while (wait(&status) > 0) failed |= status;
  return failed != 0;
}

static long read_offsets(long **offsets) {
  long count = 0;
  long room = 1024;
  *offsets = malloc((size_t)room * sizeof **offsets);
  while (scanf("%ld", *offsets + count) == 1) {
    if (++count < room) continue;
    room *= 2;
    *offsets = realloc(*offsets, (size_t)room * sizeof **offsets);
  }
  return count;
}

static void read_blocks(int file, const long *offsets, long count, long *next, double *latencies) {
  void *block = NULL;
  if (posix_memalign(&block, BLOCK_BYTES, BLOCK_BYTES) != 0) fail("memory");
  for (;;) {
    const long at = __atomic_fetch_add(next, 1, __ATOMIC_RELAXED);
    if (at >= count) return;
    const double started = now();
    if (pread(file, block, BLOCK_BYTES, offsets[at]) != BLOCK_BYTES) fail("pread");
    latencies[at] = now() - started;
    uint64_t stamp;
    memcpy(&stamp, block, sizeof stamp);
    if (stamp == (uint64_t)offsets[at]) continue;
    fprintf(stderr, "wrong bytes at %ld\n", offsets[at]);
    _exit(1);
  }
}

static int run_random(const char *path, int processes) {
  long *offsets;
  const long count = read_offsets(&offsets);
  const int file = open(path, O_RDONLY | O_DIRECT);
  if (file < 0) fail(path);
  long *next = shared(sizeof *next);
  double *latencies = shared((size_t)(count + 1) * sizeof *latencies);
  const double started = now();
  for (int process = 0; process < processes; process++) {
    if (fork() != 0) continue;
    read_blocks(file, offsets, count, next, latencies);
    _exit(0);
  }
  const int failed = wait_for_all();
  const double seconds = now() - started;
  qsort(latencies, (size_t)count, sizeof *latencies, by_size);
  printf("{\"operations\":%ld,\"seconds\":%.6f,\"p50Us\":%.1f,\"p99Us\":%.1f}\n", count, seconds,
         latencies[count / 2] * 1e6, latencies[count * 99 / 100] * 1e6);
  return failed;
}

static void read_whole(const char *folder, int number, long *bytes) {
  char path[PATH_BYTES];
  snprintf(path, sizeof path, "%s/f%03d", folder, number);
  char *chunk = malloc(CHUNK_BYTES);
  const int file = open(path, O_RDONLY);
  if (file < 0) fail(path);
  ssize_t got;
  while ((got = read(file, chunk, CHUNK_BYTES)) > 0) {
    __atomic_fetch_add(bytes, (long)got, __ATOMIC_RELAXED);
  }
  if (got < 0) fail(path);
}

static int run_whole(const char *folder, int files) {
  long *bytes = shared(sizeof *bytes);
  const double started = now();
  for (int number = 0; number < files; number++) {
    if (fork() != 0) continue;
    read_whole(folder, number, bytes);
    _exit(0);
  }
  const int failed = wait_for_all();
  printf("{\"operations\":%ld,\"seconds\":%.6f}\n", *bytes, now() - started);
  return failed;
}

static int run_stat(const char *folder) {
  if (chdir(folder) != 0) fail(folder);
  char name[PATH_BYTES];
  struct stat attributes;
  long count = 0;
  const double started = now();
  while (scanf("%4095s", name) == 1) {
    if (stat(name, &attributes) != 0) fail(name);
    count++;
  }
  printf("{\"operations\":%ld,\"seconds\":%.6f}\n", count, now() - started);
  return 0;
}

int main(int count, char **words) {
  const char *what = count > 2 ? words[1] : "";
  if (strcmp(what, "stat") == 0) return run_stat(words[2]);
  if (count < 4) what = "";
  if (strcmp(what, "random") == 0) return run_random(words[2], atoi(words[3]));
  if (strcmp(what, "whole") == 0) return run_whole(words[2], atoi(words[3]));
  fprintf(stderr, "usage: %s random FILE PROCESSES | stat FOLDER | whole FOLDER FILES\n", words[0]);
  return 2;
}
