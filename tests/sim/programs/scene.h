/* What the test programs share: numbers are told through pixels, 24 bits for each of the first row. */
#ifndef SCENE_H
#define SCENE_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { FRAME, CLOCK_US, PRESSES, RELEASES, DOWN, AXIS, RANDOM, WORKER, WALL, KEYS, NUMBERS };
static uint32_t numbers[NUMBERS];
static atomic_uint worked;

static inline uint64_t now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* A thread like one of sound: a little work every 10 ms. */
static inline void *sleeper(void *unused) {
  (void)unused;
  for (;;) {
    usleep(10000);
    worked++;
  }
  return NULL;
}

static inline void *waiter(void *unused) {
  static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
  (void)unused;
  for (;;) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 10000000;
    if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
    pthread_mutex_lock(&mutex);
    pthread_cond_timedwait(&condition, &mutex, &until);
    pthread_mutex_unlock(&mutex);
    worked++;
  }
  return NULL;
}

static inline void *ticker(void *unused) {
  (void)unused;
  int file = timerfd_create(CLOCK_MONOTONIC, 0);
  struct itimerspec every = {{0, 10000000}, {0, 10000000}};
  timerfd_settime(file, 0, &every, NULL);
  for (uint64_t times; read(file, &times, sizeof times) == sizeof times;) worked += times;
  return NULL;
}

/* A thread that only computes, for a while. */
static inline void *loader(void *unused) {
  (void)unused;
  struct timespec used;
  do clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  while (used.tv_sec == 0 && used.tv_nsec < 400000000);
  worked = 1;
  return NULL;
}

static inline int given(int argc, char **argv, const char *word) {
  for (int i = 1; i < argc; i++)
    if (strncmp(argv[i], word, strlen(word)) == 0) return i;
  return 0;
}

static inline int number_of(int argc, char **argv, const char *word, int other) {
  int at = given(argc, argv, word);
  return at ? atoi(argv[at] + strlen(word)) : other;
}

static inline void begin(int argc, char **argv) {
  pthread_t thread;
  if (given(argc, argv, "sleeper")) pthread_create(&thread, NULL, sleeper, NULL);
  if (given(argc, argv, "waiter")) pthread_create(&thread, NULL, waiter, NULL);
  if (given(argc, argv, "ticker")) pthread_create(&thread, NULL, ticker, NULL);
  if (given(argc, argv, "loader")) pthread_create(&thread, NULL, loader, NULL);
  uint32_t random = 0;
  if (getrandom(&random, 3, 0) == 3) numbers[RANDOM] = random;
}

/* At the beginning of every frame. */
static inline void think(int argc, char **argv) {
  numbers[FRAME]++;
  if (number_of(argc, argv, "hang=", -1) == (int)numbers[FRAME]) pause();
  if (number_of(argc, argv, "spin=", -1) == (int)numbers[FRAME])
    for (;;) {
    }
  if (number_of(argc, argv, "exit=", -1) == (int)numbers[FRAME])
    exit(number_of(argc, argv, "code=", 0));
  if (number_of(argc, argv, "abort=", -1) == (int)numbers[FRAME]) abort();
  if (given(argc, argv, "busy"))
    for (uint64_t until = now_us() + 20000; now_us() < until;) {
    }
  if (given(argc, argv, "delay=")) usleep((unsigned)number_of(argc, argv, "delay=", 0) * 1000);
  numbers[CLOCK_US] = now_us() & 0xffffff;
  numbers[WALL] = time(NULL) & 0xffffff;
  numbers[WORKER] = worked & 0xffffff;
}
#endif
