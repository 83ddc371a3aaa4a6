/* Servers that the game talks to, above all the one of its display: while one of them works on what
   the game has sent, an answer may be on its way, and the game is not idle. */
#include "shim.h"

#include <linux/sockios.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define PEERS 16

static struct {
  int fd; /* plus one; 0: free */
  pid_t pid;
} peers[PEERS];

EXPORT int connect(int fd, const struct sockaddr *address, socklen_t size) {
  int result = (int)ng_syscall(SYS_connect, fd, address, size);
  if (result < 0 || !ng_active() || address->sa_family != AF_UNIX) return result;
  struct ucred who = {0};
  socklen_t length = sizeof who;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &length) < 0 || who.pid <= 0) return result;
  for (int i = 0; i < PEERS; i++) {
    int free = 0;
    if (peers[i].fd == fd + 1) peers[i].pid = who.pid; /* it was closed past our close() */
    if (peers[i].fd == fd + 1) break;
    if (!__atomic_compare_exchange_n(&peers[i].fd, &free, fd + 1, false, __ATOMIC_SEQ_CST,
                                     __ATOMIC_SEQ_CST))
      continue;
    peers[i].pid = who.pid;
    break;
  }
  return result;
}

void ng_peer_closed(int fd) {
  for (int i = 0; i < PEERS; i++)
    if (peers[i].fd == fd + 1) peers[i].fd = 0;
}

bool ng_peers_idle(void) {
  for (int i = 0; i < PEERS; i++) {
    if (peers[i].fd == 0 || peers[i].pid == ng_pid()) continue;
    int unread = 0;
    if (ng_syscall(SYS_ioctl, peers[i].fd - 1, SIOCOUTQ, &unread) == 0 && unread > 0) return false;
    char tid[16];
    snprintf(tid, sizeof tid, "%d", peers[i].pid);
    char state = ng_thread_state(peers[i].pid, tid);
    if (state == 'R' || state == 'D') return false;
  }
  return true;
}
