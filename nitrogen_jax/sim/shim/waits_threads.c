/* Timed waits for another thread: conditions, semaphores, locks, the end of a thread.

   Each waits for real in slices, between which virtual time is looked at. */
#include "shim.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/syscall.h>
#include <threads.h>
#include <unistd.h>

#define REAL(type, name) static type real_##name; \
  if (real_##name == NULL) real_##name = (type)ng_next(#name)

static struct timespec real_deadline(clockid_t clock, uint64_t from_now) {
  struct timespec now;
  ng_syscall(SYS_clock_gettime, clock, &now);
  return ng_timespec(ng_nanoseconds(&now) + from_now);
}

/* Repeats `call`, whose deadline is the real time `until` on a clock, until it ends otherwise. */
#define IN_SLICES(error, deadline, clock, until, call)                \
  do {                                                                \
    struct ng_wait wait;                                              \
    ng_wait_begin(&wait, deadline);                                   \
    for (uint64_t slice = 1; slice != 0;) {                           \
      slice = ng_wait_slice(&wait);                                   \
      struct timespec until = real_deadline(clock, slice);            \
      (error) = (call);                                               \
      if ((error) != ETIMEDOUT) break;                                \
    }                                                                 \
    ng_wait_end();                                                    \
  } while (0)

typedef int (*clockwait_type)(pthread_cond_t *, pthread_mutex_t *, clockid_t,
                              const struct timespec *);

static int condition_wait(pthread_cond_t *condition, pthread_mutex_t *mutex,
                          const struct timespec *time) {
  REAL(clockwait_type, pthread_cond_clockwait);
  int error;
  IN_SLICES(error, ng_from_absolute(time), CLOCK_MONOTONIC, until,
            real_pthread_cond_clockwait(condition, mutex, CLOCK_MONOTONIC, &until));
  return error;
}

EXPORT int pthread_cond_timedwait(pthread_cond_t *restrict condition,
                                  pthread_mutex_t *restrict mutex,
                                  const struct timespec *restrict time) {
  if (ng_active()) return condition_wait(condition, mutex, time);
  typedef int (*type)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
  static type real;
  if (real == NULL) real = (type)ng_next_version("pthread_cond_timedwait", "GLIBC_2.3.2");
  return real(condition, mutex, time);
}

EXPORT int pthread_cond_clockwait(pthread_cond_t *restrict condition,
                                  pthread_mutex_t *restrict mutex, clockid_t clock,
                                  const struct timespec *restrict time) {
  if (ng_active()) return condition_wait(condition, mutex, time);
  REAL(clockwait_type, pthread_cond_clockwait);
  return real_pthread_cond_clockwait(condition, mutex, clock, time);
}

EXPORT int cnd_timedwait(cnd_t *restrict condition, mtx_t *restrict mutex,
                         const struct timespec *restrict time) {
  /* The C library's C11 types are its POSIX ones. */
  int error = pthread_cond_timedwait((pthread_cond_t *)condition, (pthread_mutex_t *)mutex, time);
  return error == 0 ? thrd_success : error == ETIMEDOUT ? thrd_timedout : thrd_error;
}

typedef int (*sem_type)(sem_t *, const struct timespec *);
typedef int (*sem_clock_type)(sem_t *, clockid_t, const struct timespec *);

static int semaphore_wait(sem_t *semaphore, const struct timespec *time) {
  REAL(sem_type, sem_timedwait);
  int error;
  IN_SLICES(error, ng_from_absolute(time), CLOCK_REALTIME, until,
            real_sem_timedwait(semaphore, &until) < 0 ? errno : 0);
  if (error) errno = error;
  return error ? -1 : 0;
}

EXPORT int sem_timedwait(sem_t *restrict semaphore, const struct timespec *restrict time) {
  if (ng_active()) return semaphore_wait(semaphore, time);
  REAL(sem_type, sem_timedwait);
  return real_sem_timedwait(semaphore, time);
}

EXPORT int sem_clockwait(sem_t *restrict semaphore, clockid_t clock,
                         const struct timespec *restrict time) {
  if (ng_active()) return semaphore_wait(semaphore, time);
  REAL(sem_clock_type, sem_clockwait);
  return real_sem_clockwait(semaphore, clock, time);
}

/* The lock functions differ in their types alone: NAME(lock, time) and NAME(lock, clock, time). */
#define TIMED_LOCK(name, lock_type)                                                        \
  EXPORT int name(lock_type *restrict lock, const struct timespec *restrict time) {        \
    typedef int (*type)(lock_type *, const struct timespec *);                             \
    REAL(type, name);                                                                      \
    if (!ng_active()) return real_##name(lock, time);                                      \
    int error;                                                                             \
    IN_SLICES(error, ng_from_absolute(time), CLOCK_REALTIME, until,                        \
              real_##name(lock, &until));                                                  \
    return error;                                                                          \
  }
#define CLOCK_LOCK(name, lock_type)                                                        \
  EXPORT int name(lock_type *restrict lock, clockid_t clock,                               \
                  const struct timespec *restrict time) {                                  \
    typedef int (*type)(lock_type *, clockid_t, const struct timespec *);                  \
    REAL(type, name);                                                                      \
    if (!ng_active()) return real_##name(lock, clock, time);                               \
    int error;                                                                             \
    IN_SLICES(error, ng_from_absolute(time), clock, until,                                 \
              real_##name(lock, clock, &until));                                           \
    return error;                                                                          \
  }

TIMED_LOCK(pthread_mutex_timedlock, pthread_mutex_t)
TIMED_LOCK(pthread_rwlock_timedrdlock, pthread_rwlock_t)
TIMED_LOCK(pthread_rwlock_timedwrlock, pthread_rwlock_t)
CLOCK_LOCK(pthread_mutex_clocklock, pthread_mutex_t)
CLOCK_LOCK(pthread_rwlock_clockrdlock, pthread_rwlock_t)
CLOCK_LOCK(pthread_rwlock_clockwrlock, pthread_rwlock_t)

EXPORT int mtx_timedlock(mtx_t *restrict mutex, const struct timespec *restrict time) {
  int error = pthread_mutex_timedlock((pthread_mutex_t *)mutex, time);
  return error == 0 ? thrd_success : error == ETIMEDOUT ? thrd_timedout : thrd_error;
}

EXPORT int pthread_timedjoin_np(pthread_t thread, void **result, const struct timespec *time) {
  typedef int (*type)(pthread_t, void **, const struct timespec *);
  REAL(type, pthread_timedjoin_np);
  if (!ng_active()) return real_pthread_timedjoin_np(thread, result, time);
  int error;
  IN_SLICES(error, ng_from_absolute(time), CLOCK_REALTIME, until,
            real_pthread_timedjoin_np(thread, result, &until));
  return error;
}
