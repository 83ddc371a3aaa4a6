/* The table of sleeping threads, for the files that keep it and wait for it. */
#ifndef NGSIM_SLEEPERS_H
#define NGSIM_SLEEPERS_H

#include "shim.h"

#define SLOTS 256
#define QUIESCE_MISSES 8 /* of a thread, after which nobody waits for it any longer */
#define SHORTEST (20 * MICROSECOND) /* of all real pauses */
#define LONGEST (5 * MILLISECOND)

struct slot {
  pid_t tid; /* 0: free */
  uint32_t waits, asleep, misses;
  uint64_t deadline;
};
extern struct slot ng_slots[SLOTS];
extern int ng_slots_used; /* below it lie all that were ever taken */

struct slot *ng_own_slot(void);
bool ng_gone(pid_t tid);
uint64_t ng_first_deadline(void); /* of the other threads; NEVER */
void ng_only_looks_idle(bool waits); /* the frame thread pauses in here, and goes on by itself */

#endif
