/* Sleeps: for a span of virtual time, or until one. */
#include "shim.h"

#include <errno.h>
#include <sys/syscall.h>
#include <threads.h>
#include <unistd.h>

static bool valid(const struct timespec *time) {
  return time->tv_sec >= 0 && time->tv_nsec >= 0 && time->tv_nsec < (long)SECOND;
}

static int sleep_for(uint64_t ns, struct timespec *left) {
  uint64_t until = ng_now() + ns;
  if (ng_sleep_until(until)) return 0;
  uint64_t now = ng_now();
  if (left != NULL) *left = ng_timespec(until > now ? until - now : 0);
  return EINTR;
}

EXPORT int nanosleep(const struct timespec *time, struct timespec *left) {
  if (!ng_active()) return (int)ng_syscall(SYS_nanosleep, time, left);
  int error = valid(time) ? sleep_for(ng_nanoseconds(time), left) : EINVAL;
  if (error) errno = error;
  return error ? -1 : 0;
}

EXPORT int clock_nanosleep(clockid_t clock, int flags, const struct timespec *time,
                           struct timespec *left) {
  if (!ng_active() || clock == CLOCK_PROCESS_CPUTIME_ID)
    return ng_syscall(SYS_clock_nanosleep, clock, flags, time, left) < 0 ? errno : 0;
  if (!valid(time)) return EINVAL;
  if (!(flags & TIMER_ABSTIME)) return sleep_for(ng_nanoseconds(time), left);
  return ng_sleep_until(ng_from_absolute(time)) ? 0 : EINTR;
}

EXPORT int usleep(useconds_t microseconds) {
  struct timespec time = ng_timespec(microseconds * MICROSECOND);
  return nanosleep(&time, NULL);
}

EXPORT unsigned sleep(unsigned seconds) {
  struct timespec time = {.tv_sec = seconds}, left = {0};
  return nanosleep(&time, &left) == 0 ? 0 : (unsigned)left.tv_sec + (left.tv_nsec > 0);
}

EXPORT int thrd_sleep(const struct timespec *time, struct timespec *left) {
  return nanosleep(time, left) == 0 ? 0 : errno == EINTR ? -1 : -2;
}
