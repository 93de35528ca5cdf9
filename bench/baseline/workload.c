/*
 * What programs do to a mount, timed from their side. Each prints one line of JSON.
 *   workload stat FOLDER FILES SECONDS PROCESSES   random stat(2) of f000000…
 *   workload create FOLDER FILES BYTES             open with O_CREAT, write, close of c000000…
 *   workload unlink FOLDER FILES                   the same files again
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_PROCESSES 16
/* Latencies kept of the first process; later ones only count. */
#define MAX_LATENCIES 2000000l
#define PATH_BYTES 4096

/* Results of the processes, in memory that they share. */
struct tally {
  long operations[MAX_PROCESSES];
  double p50_us, p99_us, max_us;
};

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void fail(const char *path) {
  perror(path);
  _exit(1);
}

static int by_size(const void *a, const void *b) {
  const double left = *(const double *)a;
  const double right = *(const double *)b;
  return (left > right) - (left < right);
}

static void report(const char *extra, long operations, double seconds) {
  printf("{\"operations\":%ld,\"seconds\":%.6f%s}\n", operations, seconds, extra);
}

/* A SETATTR's answer carries the timeout of attributes alone, whatever came with the name: from
   here on each stat asks for the attributes, when their timeout is 0, and for no name. */
static void learn_names(const char *folder, int files) {
  char path[PATH_BYTES];
  for (int at = 0; at < files; at++) {
    snprintf(path, sizeof path, "%s/f%06d", folder, at);
    if (chmod(path, 0644) != 0) fail(path);
  }
}

static void stat_for(const char *folder, int files, double seconds, int process,
                     struct tally *tally) {
  double *latencies = malloc((size_t)MAX_LATENCIES * sizeof *latencies);
  char path[PATH_BYTES];
  struct stat attributes;
  long count = 0;
  unsigned random = (unsigned)process * 7919u + 1;
  double before = now();
  for (const double end = before + seconds; before < end; count++) {
    random = random * 1103515245u + 12345u;
    snprintf(path, sizeof path, "%s/f%06u", folder, (random >> 8) % (unsigned)files);
    before = now();
    if (stat(path, &attributes) != 0) fail(path);
    if (count < MAX_LATENCIES) latencies[count] = now() - before;
  }
  tally->operations[process] = count;
  if (process != 0) return;
  const long kept = count < MAX_LATENCIES ? count : MAX_LATENCIES;
  qsort(latencies, (size_t)kept, sizeof *latencies, by_size);
  tally->p50_us = latencies[kept / 2] * 1e6;
  tally->p99_us = latencies[kept * 99 / 100] * 1e6;
  tally->max_us = latencies[kept - 1] * 1e6;
}

static int run_stat(const char *folder, int files, double seconds, int processes) {
  struct tally *tally = mmap(NULL, sizeof *tally, PROT_READ | PROT_WRITE,
                             MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (processes > MAX_PROCESSES) processes = MAX_PROCESSES;
  learn_names(folder, files);
  for (int process = 0; process < processes; process++) {
    if (fork() != 0) continue;
    stat_for(folder, files, seconds, process, tally);
    _exit(0);
  }
  int status = 0;
  int failed = 0;
  while (wait(&status) > 0) failed |= status;
  long total = 0;
  for (int process = 0; process < processes; process++) total += tally->operations[process];
  char latencies[128];
  snprintf(latencies, sizeof latencies, ",\"p50Us\":%.2f,\"p99Us\":%.2f,\"maxUs\":%.1f",
           tally->p50_us, tally->p99_us, tally->max_us);
  report(latencies, total, seconds);
  return failed != 0;
}

static int run_create(const char *folder, int files, size_t bytes) {
  char path[PATH_BYTES];
  char *content = calloc(1, bytes + 1);
  const double started = now();
  for (int at = 0; at < files; at++) {
    snprintf(path, sizeof path, "%s/c%06d", folder, at);
    const int file = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0644);
    if (file < 0 || write(file, content, bytes) != (ssize_t)bytes || close(file) != 0) fail(path);
  }
  report("", files, now() - started);
  return 0;
}

static int run_unlink(const char *folder, int files) {
  char path[PATH_BYTES];
  const double started = now();
  for (int at = 0; at < files; at++) {
    snprintf(path, sizeof path, "%s/c%06d", folder, at);
    if (unlink(path) != 0) fail(path);
  }
  report("", files, now() - started);
  return 0;
}

int main(int count, char **words) {
  const char *what = count > 3 ? words[1] : "";
  if (strcmp(what, "stat") == 0 && count > 5) {
    return run_stat(words[2], atoi(words[3]), atof(words[4]), atoi(words[5]));
  }
  if (strcmp(what, "create") == 0 && count > 4) {
    return run_create(words[2], atoi(words[3]), (size_t)atol(words[4]));
  }
  if (strcmp(what, "unlink") == 0) return run_unlink(words[2], atoi(words[3]));
  fprintf(stderr, "usage: %s stat|create|unlink FOLDER FILES [...]\n", words[0]);
  return 2;
}
