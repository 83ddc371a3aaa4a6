/* setitimer and alarm, of which each process has one, and timer_create. */
#include "timers.h"

#include <errno.h>
#include <sys/time.h>

static struct timer *alarm_timer(void) {
  for (struct timer *timer = ng_timers; timer < ng_timers + TIMERS; timer++)
    if (timer->kind == ALARM) return timer;
  return ng_timer_new(ALARM);
}

static struct itimerspec precise(const struct itimerval *value) {
  return (struct itimerspec){
      .it_interval = {value->it_interval.tv_sec, value->it_interval.tv_usec * 1000},
      .it_value = {value->it_value.tv_sec, value->it_value.tv_usec * 1000}};
}

static struct itimerval coarse(const struct itimerspec *value) {
  return (struct itimerval){
      .it_interval = {value->it_interval.tv_sec, value->it_interval.tv_nsec / 1000},
      .it_value = {value->it_value.tv_sec, value->it_value.tv_nsec / 1000}};
}

EXPORT int setitimer(__itimer_which_t which, const struct itimerval *restrict value,
                     struct itimerval *restrict old) {
  if (!ng_active() || which != ITIMER_REAL) return (int)ng_syscall(SYS_setitimer, which, value, old);
  struct itimerspec wanted = precise(value), before;
  pthread_mutex_lock(&ng_timers_lock);
  struct timer *timer = alarm_timer();
  if (timer != NULL) ng_timer_set(timer, false, &wanted, &before);
  pthread_mutex_unlock(&ng_timers_lock);
  if (timer == NULL) {
    errno = EAGAIN;
    return -1;
  }
  if (old != NULL) *old = coarse(&before);
  return 0;
}

EXPORT int getitimer(__itimer_which_t which, struct itimerval *value) {
  if (!ng_active() || which != ITIMER_REAL) return (int)ng_syscall(SYS_getitimer, which, value);
  struct itimerspec now = {0};
  pthread_mutex_lock(&ng_timers_lock);
  const struct timer *timer = alarm_timer();
  if (timer != NULL) ng_timer_get(timer, &now);
  pthread_mutex_unlock(&ng_timers_lock);
  *value = coarse(&now);
  return 0;
}

EXPORT unsigned alarm(unsigned seconds) {
  struct itimerval value = {.it_value = {.tv_sec = seconds}}, old = {0};
  if (setitimer(ITIMER_REAL, &value, &old) < 0) return 0;
  return (unsigned)old.it_value.tv_sec + (old.it_value.tv_usec > 0);
}

/* ---- timer_create: a timer is its row in the table, plus one, as a pointer */

static struct timer *posix_timer(timer_t id) {
  uintptr_t row = (uintptr_t)id - 1;
  return row < TIMERS && ng_timers[row].kind == POSIX ? &ng_timers[row] : NULL;
}

#define PASS_ON(name, type, ...)                              \
  static type real;                                           \
  if (real == NULL) real = (type)ng_next_version(name, "GLIBC_2.3.3"); \
  return real(__VA_ARGS__)

EXPORT int timer_create(clockid_t clock, struct sigevent *restrict event, timer_t *restrict id) {
  bool real_time = clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC || clock == CLOCK_BOOTTIME;
  if (!ng_active() || !real_time) {
    typedef int (*type)(clockid_t, struct sigevent *, timer_t *);
    PASS_ON("timer_create", type, clock, event, id);
  }
  pthread_mutex_lock(&ng_timers_lock);
  struct timer *timer = ng_timer_new(POSIX);
  if (timer != NULL) {
    timer->event = event != NULL ? *event
                                 : (struct sigevent){.sigev_notify = SIGEV_SIGNAL,
                                                     .sigev_signo = SIGALRM};
    *id = (timer_t)(uintptr_t)(timer - ng_timers + 1);
  }
  pthread_mutex_unlock(&ng_timers_lock);
  if (timer == NULL) errno = EAGAIN;
  return timer != NULL ? 0 : -1;
}

EXPORT int timer_settime(timer_t id, int flags, const struct itimerspec *restrict value,
                         struct itimerspec *restrict old) {
  pthread_mutex_lock(&ng_timers_lock);
  struct timer *timer = ng_active() ? posix_timer(id) : NULL;
  if (timer != NULL) ng_timer_set(timer, flags & TIMER_ABSTIME, value, old);
  pthread_mutex_unlock(&ng_timers_lock);
  if (timer != NULL) return 0;
  typedef int (*type)(timer_t, int, const struct itimerspec *, struct itimerspec *);
  PASS_ON("timer_settime", type, id, flags, value, old);
}

EXPORT int timer_gettime(timer_t id, struct itimerspec *value) {
  pthread_mutex_lock(&ng_timers_lock);
  const struct timer *timer = ng_active() ? posix_timer(id) : NULL;
  if (timer != NULL) ng_timer_get(timer, value);
  pthread_mutex_unlock(&ng_timers_lock);
  if (timer != NULL) return 0;
  typedef int (*type)(timer_t, struct itimerspec *);
  PASS_ON("timer_gettime", type, id, value);
}

EXPORT int timer_getoverrun(timer_t id) {
  const struct timer *timer = ng_active() ? posix_timer(id) : NULL;
  if (timer != NULL) return timer->overrun;
  typedef int (*type)(timer_t);
  PASS_ON("timer_getoverrun", type, id);
}

EXPORT int timer_delete(timer_t id) {
  pthread_mutex_lock(&ng_timers_lock);
  struct timer *timer = ng_active() ? posix_timer(id) : NULL;
  if (timer != NULL) timer->kind = FREE;
  pthread_mutex_unlock(&ng_timers_lock);
  if (timer != NULL) return 0;
  typedef int (*type)(timer_t);
  PASS_ON("timer_delete", type, id);
}
