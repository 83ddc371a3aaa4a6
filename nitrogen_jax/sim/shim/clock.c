/* Virtual clocks. LOCK: a number in the shared page. REAL and SPEED: real time, shifted and scaled. */
#include "shim.h"

#include <errno.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timeb.h>
#include <sys/times.h>
#include <unistd.h>

/* A frame thread that reads the clock this often without a change waits for it to move. */
#define SPIN_READS 2000u
#define SPIN_MORE 100u /* further reads for each step that time is moved by */
#define SPIN_STEP (100 * MICROSECOND)
#define SPIN_OTHERS 20000u /* the same for other threads, and only while the frame thread waits */

#define CLOSEST_STOPS (250 * MICROSECOND) /* of one advance */

/* Wall clock times lie beyond it, monotonic ones before. */
#define WALL_SECONDS 500000000

static __thread unsigned spins;
static __thread uint64_t spin_time;

uint64_t ng_now(void) {
  uint32_t mode = __atomic_load_n(&NG(mode), __ATOMIC_SEQ_CST);
  if (mode == NG_LOCK) return __atomic_load_n(&NG(virtual_ns), __ATOMIC_SEQ_CST);
  uint64_t real = ng_real_now(), anchor = NG(anchor_real_ns);
  double speed = mode == NG_REAL ? 1.0 : NG(speed);
  uint64_t passed = real > anchor ? real - anchor : 0;
  uint64_t now = NG(anchor_virtual_ns) + (speed == 1.0 ? passed : (uint64_t)((double)passed * speed));
  return mode == NG_SPEED && now > NG(limit_ns) ? NG(limit_ns) : now;
}

/* The frame thread stops wherever another thread wants to wake, so that a thread of sound that
   wakes three times in a frame does so three times, each at its own moment. */
void ng_advance(uint64_t to) {
  if (ng_is_frame_thread()) {
    ng_settle();
    if (ng_stirring()) ng_move_to(ng_now()); /* before time moves: their waits begin now */
    uint64_t least = ng_now(), stop;
    while ((stop = ng_deadline_after(least)) < to) {
      if (stop < least + CLOSEST_STOPS) stop = least + CLOSEST_STOPS;
      if (stop >= to) break;
      ng_move_to(stop);
      ng_settle();
      least = stop;
    }
  }
  ng_move_to(to);
  if (ng_is_frame_thread()) ng_settle();
}

void ng_reset_spin(void) { spins = 0; }

/* Counted in reads and not in real time, so that it happens at the same moment in every run. */
static uint64_t escape_spin(uint64_t now) {
  if (spin_time != now) {
    spin_time = now;
    spins = 0;
    return now;
  }
  spins++;
  if (ng_is_frame_thread()) {
    if (spins <= SPIN_READS) return now;
    spins = SPIN_READS - SPIN_MORE;
  } else {
    if (spins % SPIN_OTHERS != 0 || NG(parked) || !ng_others_idle()) return now;
  }
  __atomic_add_fetch(&NG(spin_advances), 1, __ATOMIC_RELAXED);
  now += SPIN_STEP;
  ng_advance(now);
  spin_time = now;
  return now;
}

static uint64_t read_clock(void) {
  uint64_t now = ng_now();
  __atomic_add_fetch(&NG(clock_reads), 1, __ATOMIC_RELAXED);
  return NG(mode) == NG_LOCK ? escape_spin(now) : now;
}

static uint64_t read_wall_clock(void) { return read_clock() + NG(epoch_ns); }

uint64_t ng_from_absolute(const struct timespec *time) {
  uint64_t ns = ng_nanoseconds(time);
  if (time->tv_sec <= WALL_SECONDS) return ns;
  return ns > NG(epoch_ns) ? ns - NG(epoch_ns) : 0;
}

EXPORT int clock_gettime(clockid_t clock, struct timespec *time) {
  if (ng_active()) switch (clock) {
      case CLOCK_MONOTONIC:
      case CLOCK_MONOTONIC_RAW:
      case CLOCK_MONOTONIC_COARSE:
      case CLOCK_BOOTTIME:
        *time = ng_timespec(read_clock());
        return 0;
      case CLOCK_REALTIME:
      case CLOCK_REALTIME_COARSE:
      case CLOCK_TAI:
        *time = ng_timespec(read_wall_clock());
        return 0;
      default:
        break; /* CPU time of a process or thread is real */
    }
  return (int)ng_syscall(SYS_clock_gettime, clock, time);
}

EXPORT int gettimeofday(struct timeval *restrict time, void *restrict zone) {
  struct timespec now;
  (void)zone;
  clock_gettime(CLOCK_REALTIME, &now);
  *time = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
  return 0;
}

EXPORT time_t time(time_t *out) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (out != NULL) *out = now.tv_sec;
  return now.tv_sec;
}

EXPORT int ftime(struct timeb *out) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  *out = (struct timeb){.time = now.tv_sec, .millitm = (unsigned short)(now.tv_nsec / 1000000)};
  return 0;
}

EXPORT int timespec_get(struct timespec *time, int base) {
  if (base != TIME_UTC) return 0;
  clock_gettime(CLOCK_REALTIME, time);
  return base;
}

/* Processor time is what games of old measure frames by. */
EXPORT clock_t clock(void) {
  if (ng_active()) return (clock_t)(read_clock() / (SECOND / CLOCKS_PER_SEC));
  struct timespec time;
  ng_syscall(SYS_clock_gettime, CLOCK_PROCESS_CPUTIME_ID, &time);
  return (clock_t)(ng_nanoseconds(&time) / (SECOND / CLOCKS_PER_SEC));
}

EXPORT clock_t times(struct tms *out) {
  clock_t ticks = (clock_t)ng_syscall(SYS_times, out);
  if (!ng_active()) return ticks;
  return (clock_t)(read_clock() / (SECOND / (uint64_t)sysconf(_SC_CLK_TCK)));
}
