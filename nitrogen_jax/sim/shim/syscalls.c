/* `syscall`, of which only waits for a futex, sleeps, clocks and random bytes are ours. */
#include "shim.h"

#ifdef NG_RAW
#include <linux/futex.h>
#include <stdarg.h>
#include <sys/random.h>

/* The kernel's rule: an absolute end for the second kind, a span for the first. */
static bool timed_futex(long operation, const struct timespec *time) {
  long command = operation & FUTEX_CMD_MASK;
  return (command == FUTEX_WAIT || command == FUTEX_WAIT_BITSET) && time != NULL;
}

static long futex_in_slices(const long *a) {
  const struct timespec *time = (const struct timespec *)a[3];
  bool absolute = (a[1] & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET;
  uint64_t deadline = absolute ? ng_from_absolute(time) : ng_now() + ng_nanoseconds(time);
  clockid_t clock = a[1] & FUTEX_CLOCK_REALTIME ? CLOCK_REALTIME : CLOCK_MONOTONIC;
  struct ng_wait wait;
  long result = -ETIMEDOUT;
  ng_wait_begin(&wait, deadline);
  for (uint64_t slice; (slice = ng_wait_slice(&wait)) != 0;) {
    struct timespec until = ng_timespec(slice);
    if (absolute) {
      struct timespec now;
      ng_syscall(SYS_clock_gettime, clock, &now);
      until = ng_timespec(ng_nanoseconds(&now) + slice);
    }
    result = ng_raw(SYS_futex, a[0], a[1], a[2], (long)&until, a[4], a[5]);
    if (result != -ETIMEDOUT) break;
  }
  ng_wait_end();
  return ng_checked(result);
}

EXPORT long syscall(long number, ...) {
  long a[6];
  va_list more;
  va_start(more, number);
  for (int i = 0; i < 6; i++) a[i] = va_arg(more, long);
  va_end(more);
  if (ng_active()) switch (number) {
      case SYS_futex:
        if (timed_futex(a[1], (const struct timespec *)a[3])) return futex_in_slices(a);
        break;
      case SYS_clock_gettime:
        return clock_gettime((clockid_t)a[0], (struct timespec *)a[1]);
      case SYS_nanosleep:
        return nanosleep((const struct timespec *)a[0], (struct timespec *)a[1]);
      case SYS_getrandom:
        return getrandom((void *)a[0], (size_t)a[1], (unsigned)a[2]);
    }
  return ng_checked(ng_raw(number, a[0], a[1], a[2], a[3], a[4], a[5]));
}
#endif
