/* After time has moved, the frame thread goes on only when the threads whose time came have slept
   again, or stand somewhere else: the thread of the sound stays in step. */
#include "sleepers.h"

#include <stdio.h>

#define QUIESCE_WORK (20 * MILLISECOND) /* processor time that a woken thread gets */
#define QUIESCE_LIMIT (2 * SECOND)      /* and real time, on a busy machine */
#define UNKNOWN_LIMIT (200 * MILLISECOND)
#define SETTLE_LIMIT (5 * SECOND)

static uint32_t stirred, stirred_before; /* threads set going of which no slot tells */

void ng_stir(void) { __atomic_add_fetch(&stirred, 1, __ATOMIC_SEQ_CST); }

bool ng_stirring(void) { return stirred != stirred_before; }

/* Has this sleeper, whose time has come, dealt with it? */
static bool settled(const struct slot *slot, uint32_t waits_before) {
  if (slot->tid == 0) return true;
  if (__atomic_load_n(&slot->asleep, __ATOMIC_SEQ_CST)) /* again, or still: then it will wake yet */
    return __atomic_load_n(&slot->waits, __ATOMIC_SEQ_CST) != waits_before;
  char tid[16];
  snprintf(tid, sizeof tid, "%d", slot->tid);
  char state = ng_thread_state(ng_pid(), tid);
  return state != 'R' && state != 'D';
}

/* Processor time of a thread: one that waits for a busy machine uses none. */
static uint64_t processor_time(pid_t tid) {
  struct timespec time = {0};
  ng_syscall(SYS_clock_gettime, ~(clockid_t)tid << 3 | 6, &time);
  return ng_nanoseconds(&time);
}

static void await(struct slot *slot, uint32_t waits_before, uint64_t began) {
  uint64_t pause = SHORTEST, used_before = processor_time(slot->tid);
  while (!settled(slot, waits_before)) {
    if (ng_gone(slot->tid)) {
      slot->asleep = 0;
      return;
    }
    if (processor_time(slot->tid) - used_before > QUIESCE_WORK ||
        ng_real_now() - began > QUIESCE_LIMIT) {
      slot->misses++;
      __atomic_add_fetch(&NG(late_sleepers), 1, __ATOMIC_RELAXED);
      return;
    }
    ng_real_sleep(pause);
    if (pause < MILLISECOND / 2) pause += SHORTEST;
  }
}

static void await_all(uint64_t began, uint64_t limit) {
  static int misses;
  if (misses >= QUIESCE_MISSES) return;
  for (uint64_t pause = SHORTEST; !ng_others_idle(); pause += SHORTEST) {
    if (ng_real_now() - began > limit) {
      misses++;
      __atomic_add_fetch(&NG(late_sleepers), 1, __ATOMIC_RELAXED);
      return;
    }
    ng_real_sleep(pause < MILLISECOND ? pause : MILLISECOND);
  }
}

/* A thread that is new, or woken by a timer, is not in this table. */
static void await_unknown(uint64_t began) {
  uint32_t now = __atomic_load_n(&stirred, __ATOMIC_SEQ_CST);
  if (now == stirred_before) return;
  stirred_before = now;
  if (!NG(settle)) await_all(began, UNKNOWN_LIMIT);
}

void ng_settle(void) {
  if (!NG(settle)) return;
  ng_only_looks_idle(true);
  await_all(ng_real_now(), SETTLE_LIMIT);
  ng_only_looks_idle(false);
}

struct due {
  int number, slots[SLOTS];
  uint32_t waits[SLOTS];
};

static void collect(struct due *due, uint64_t to) {
  const struct slot *own = ng_own_slot();
  due->number = 0;
  for (int i = 0; i < ng_slots_used; i++) {
    const struct slot *slot = &ng_slots[i];
    if (slot->tid == 0 || slot == own || slot->misses >= QUIESCE_MISSES) continue;
    due->waits[due->number] = __atomic_load_n(&slot->waits, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&slot->asleep, __ATOMIC_SEQ_CST) && slot->deadline <= to)
      due->slots[due->number++] = i;
  }
}

static void quiesce(const struct due *due) {
  if (due->number == 0 && !ng_stirring()) return;
  uint64_t began = ng_real_now();
  ng_only_looks_idle(true);
  for (int k = 0; k < due->number; k++) await(&ng_slots[due->slots[k]], due->waits[k], began);
  await_unknown(began);
  ng_only_looks_idle(false);
}

void ng_move_to(uint64_t to) {
  bool leads = ng_is_frame_thread();
  struct due due;
  /* Before time moves: one that looks at the clock by itself at that moment would be missed. */
  if (leads) collect(&due, to);
  uint64_t now = __atomic_load_n(&NG(virtual_ns), __ATOMIC_SEQ_CST);
  while (to > now && !__atomic_compare_exchange_n(&NG(virtual_ns), &now, to, false,
                                                  __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
  }
  if (ng_anyone_due(to)) ng_futex_wake(&NG(grant_word));
  if (leads) quiesce(&due);
}
