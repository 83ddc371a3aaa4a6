/* The table of the threads of this process that wait for a virtual time. */
#include "sleepers.h"

#include <errno.h>
#include <string.h>

struct slot ng_slots[SLOTS];
int ng_slots_used;
static struct slot spare; /* of the threads beyond the table's end: they are not waited for */
static bool spare_used;
static __thread struct slot *own;

bool ng_gone(pid_t tid) {
  return ng_syscall(SYS_tgkill, ng_pid(), tid, 0) < 0 && errno == ESRCH;
}

struct slot *ng_own_slot(void) {
  if (own != NULL && (own == &spare || own->tid == ng_tid())) return own;
  for (int round = 0; round < 2; round++)
    for (struct slot *slot = ng_slots; slot < ng_slots + SLOTS; slot++) {
      pid_t holder = slot->tid;
      /* Slots of ended threads are taken over in the second round. */
      if (holder != 0 && (round == 0 || !ng_gone(holder))) continue;
      if (!__atomic_compare_exchange_n(&slot->tid, &holder, ng_tid(), false, __ATOMIC_SEQ_CST,
                                       __ATOMIC_SEQ_CST))
        continue;
      slot->asleep = slot->misses = 0;
      int number = (int)(slot - ng_slots) + 1, before = ng_slots_used;
      while (number > before && !__atomic_compare_exchange_n(&ng_slots_used, &before, number, false,
                                                             __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
      }
      return own = slot;
    }
  spare_used = true;
  return own = &spare;
}

void ng_sleepers_forget(void) {
  memset(ng_slots, 0, sizeof ng_slots);
  ng_slots_used = 0;
  spare_used = false;
  own = NULL;
}

static bool waits(struct slot *slot) {
  if (slot->tid == 0 || slot == own || !__atomic_load_n(&slot->asleep, __ATOMIC_SEQ_CST))
    return false;
  if (!ng_gone(slot->tid)) return true;
  slot->asleep = 0; /* it was cancelled inside of its wait */
  return false;
}

uint64_t ng_deadline_after(uint64_t time) {
  uint64_t first = NEVER;
  for (struct slot *slot = ng_slots; slot < ng_slots + ng_slots_used; slot++)
    if (slot->deadline > time && slot->deadline < first && slot->misses < QUIESCE_MISSES &&
        waits(slot))
      first = slot->deadline;
  return first;
}

uint64_t ng_first_deadline(void) {
  uint64_t first = NEVER;
  for (struct slot *slot = ng_slots; slot < ng_slots + ng_slots_used; slot++)
    if (slot->deadline < first && waits(slot)) first = slot->deadline;
  return first;
}

bool ng_anyone_due(uint64_t now) {
  if (NG(attached) > 1 || spare_used) return true; /* of those there is no table here */
  for (struct slot *slot = ng_slots; slot < ng_slots + ng_slots_used; slot++)
    if (slot->deadline <= now && slot->tid != 0 && slot->asleep) return true;
  return false;
}
