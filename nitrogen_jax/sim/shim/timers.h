/* The table of timers, for the files that offer them under their various names. */
#ifndef NGSIM_TIMERS_H
#define NGSIM_TIMERS_H

#include <pthread.h>
#include <signal.h>

#include "shim.h"

#define TIMERS 128

enum timer_kind { FREE, FILE_COUNTER, ALARM, POSIX };
struct timer {
  enum timer_kind kind;
  int fd;
  uint64_t next, interval; /* next: NEVER where it is not set */
  struct sigevent event;
  int overrun;
};
extern struct timer ng_timers[TIMERS];
extern pthread_mutex_t ng_timers_lock;

/* All of these with the lock held. */
struct timer *ng_timer_new(enum timer_kind kind); /* NULL: the table is full */
struct timer *ng_timer_of_file(int fd);
void ng_timer_set(struct timer *timer, bool absolute, const struct itimerspec *value,
                  struct itimerspec *old);
void ng_timer_get(const struct timer *timer, struct itimerspec *out);

#endif
