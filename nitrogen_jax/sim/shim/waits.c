/* Waiting for a virtual time.

   Rules under LOCK:
   - A sleep of the frame thread moves time to its end at once. Other threads wait until it is there.
   - Where nothing else can run (every other thread rests in the kernel), time moves to the first
     deadline (watchdog). */
#include "sleepers.h"

#define WATCHDOG (10 * MILLISECOND)        /* real time in which nothing moved */
#define FRAME_GRACE (1 * MILLISECOND)      /* real time that a timed wait of the frame thread gets */
#define FRAME_PATIENCE (200 * MILLISECOND) /* the same while other threads compute */
#define MANY_SLEEPS 32 /* of the frame thread within a frame: it waits for another thread */

static uint64_t sleeps_frame, sleeps_in_frame;

static void fall_asleep(uint64_t deadline) {
  struct slot *slot = ng_own_slot();
  __atomic_add_fetch(&slot->waits, 1, __ATOMIC_SEQ_CST);
  slot->deadline = deadline;
  __atomic_store_n(&slot->asleep, 1, __ATOMIC_SEQ_CST);
}

static void wake_up(void) { __atomic_store_n(&ng_own_slot()->asleep, 0, __ATOMIC_SEQ_CST); }

/* A frame thread that sleeps again and again without a frame waits for another thread, which gets
   real time then: virtual time would run far ahead of a level that is being loaded. */
static void give_others_time(uint64_t ns) {
  if (sleeps_frame != NG(frames)) {
    sleeps_frame = NG(frames);
    sleeps_in_frame = 0;
  }
  if (++sleeps_in_frame <= MANY_SLEEPS || ng_others_idle()) return;
  ng_only_looks_idle(true);
  ng_real_sleep(ns < LONGEST ? ns : LONGEST);
  ng_only_looks_idle(false);
}

static void advance_idle(uint64_t to) {
  __atomic_add_fetch(&NG(idle_advances), 1, __ATOMIC_RELAXED);
  ng_advance(to);
}

static uint64_t scaled(uint64_t virtual_ns) {
  double speed = NG(mode) == NG_REAL ? 1.0 : NG(speed);
  double real = speed > 0.001 ? (double)virtual_ns / speed : (double)LONGEST;
  return real < SHORTEST ? SHORTEST : real > LONGEST ? LONGEST : (uint64_t)real;
}

void ng_wait_begin(struct ng_wait *wait, uint64_t deadline) {
  uint64_t real = ng_real_now();
  *wait = (struct ng_wait){.deadline = deadline,
                           .started = real,
                           .moved = real,
                           .seen = ng_now(),
                           .frame_thread = ng_is_frame_thread()};
  __atomic_add_fetch(&NG(sleeps), 1, __ATOMIC_RELAXED);
  if (!wait->frame_thread) fall_asleep(deadline);
}

void ng_wait_end(void) { wake_up(); }

/* Of a wait of the frame thread: time moves for it when nobody else can end the wait. */
static bool frame_wait_over(struct ng_wait *wait) {
  uint64_t waited = ng_real_now() - wait->started;
  if (waited < FRAME_GRACE) return false;
  if (waited < FRAME_PATIENCE && !ng_others_idle()) return false;
  uint64_t first = ng_first_deadline();
  advance_idle(first < wait->deadline ? first : wait->deadline);
  return ng_now() >= wait->deadline;
}

static bool watchdog(struct ng_wait *wait) {
  if (NG(parked) || ng_real_now() - wait->moved < WATCHDOG) return false;
  wait->moved = ng_real_now();
  ng_forget_dead_game();
  if (ng_first_deadline() < wait->deadline || !ng_others_idle()) return false;
  if (NG(parked) || NG(mode) != NG_LOCK || ng_now() != wait->seen) return false;
  advance_idle(wait->deadline);
  return true;
}

uint64_t ng_wait_slice(struct ng_wait *wait) {
  uint64_t now = ng_now();
  if (now >= wait->deadline) return 0;
  if (NG(mode) != NG_LOCK) return scaled(wait->deadline - now);
  if (wait->frame_thread) return frame_wait_over(wait) ? 0 : FRAME_GRACE / 5;
  if (now != wait->seen) {
    wait->seen = now;
    wait->moved = ng_real_now();
  } else if (watchdog(wait)) {
    return 0;
  }
  /* The frame thread waits for whoever is late to notice that his time has come. */
  uint64_t slice = (wait->deadline - now) / 64, most = NG(parked) ? LONGEST / 5 : LONGEST / 2;
  return slice < 5 * SHORTEST ? 5 * SHORTEST : slice > most ? most : slice;
}

bool ng_sleep_until(uint64_t deadline) {
  if (NG(mode) == NG_LOCK && ng_is_frame_thread()) {
    __atomic_add_fetch(&NG(sleeps), 1, __ATOMIC_RELAXED);
    uint64_t now = ng_now();
    if (deadline > now) {
      give_others_time(deadline - now);
      ng_advance(deadline);
    }
    return true;
  }
  struct ng_wait wait;
  ng_wait_begin(&wait, deadline);
  int error = 0;
  while (error != EINTR) {
    uint32_t word = __atomic_load_n(&NG(grant_word), __ATOMIC_SEQ_CST);
    uint64_t slice = ng_wait_slice(&wait);
    if (slice == 0) break;
    /* Time that moves wakes this futex: only the watchdog needs to look in between. */
    error = ng_futex_wait(&NG(grant_word), word, NG(mode) == NG_LOCK ? LONGEST : slice);
  }
  ng_wait_end();
  return error != EINTR;
}
