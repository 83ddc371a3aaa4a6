/* Starts a program, and sees to it that nothing of it outlives the controller.

     guard PARENT CONTROL STATUS HOME GRACE_MS FIXED_ADDRESSES PROGRAM ARGV0 [ARGUMENT...]

   It adopts every orphan below it. When a byte or the end comes through file CONTROL, or process
   PARENT ends in whatever way, it kills all of them and removes the folder HOME ("-": none). To
   file STATUS it writes lines: "pid N", "fail ERRNO" (the program could not be started),
   "exit CODE" (of the program; -N: signal N), "gone" (no process is left). */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#define LOOK_MS 200 /* for the parent, on kernels without pidfd_open */

struct guard {
  pid_t parent, program;
  int control, status, parent_fd, grace_ms;
  const char *home;
};
static int child_pipe[2]; /* a byte for each SIGCHLD */

static void on_child(int signal) {
  int kept = errno;
  ssize_t written = write(child_pipe[1], "", 1);
  (void)signal;
  (void)written; /* a full pipe wakes as well */
  errno = kept;
}

static void say(const struct guard *guard, const char *word, int number) {
  char line[64];
  int size = snprintf(line, sizeof line, "%s %d\n", word, number);
  /* NOTE: a controller that is gone no longer reads; that is dealt with elsewhere. */
  if (write(guard->status, line, (size_t)size) < 0) return;
}

static void run_program(const struct guard *guard, bool fixed, char **argv, const sigset_t *mask) {
  pid_t guard_pid = getppid();
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != guard_pid) _exit(127);
  /* Some containers forbid it; addresses differ from run to run then. */
  if (fixed) personality(ADDR_NO_RANDOMIZE);
  for (int signal = 1; signal < NSIG; signal++)
    if (signal != SIGKILL && signal != SIGSTOP) sigaction(signal, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
  sigprocmask(SIG_SETMASK, mask, NULL);
  const char *preload = getenv("NGSIM_PRELOAD");
  if (preload != NULL) setenv("LD_PRELOAD", preload, 1);
  unsetenv("NGSIM_PRELOAD");
  execv(argv[0], argv + 1);
  say(guard, "fail", errno);
  _exit(127);
}

/* Collects what ended; false: there is no child left. */
static bool reap(const struct guard *guard) {
  for (;;) {
    int status;
    pid_t pid = waitpid(-1, &status, WNOHANG);
    if (pid == 0 || (pid < 0 && errno == EINTR)) return true;
    if (pid < 0) return false;
    if (pid == guard->program)
      say(guard, "exit", WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status));
  }
}

static bool parent_lives(const struct guard *guard) {
  if (guard->parent_fd < 0) return getppid() == guard->parent;
  struct pollfd file = {guard->parent_fd, POLLIN, 0};
  return poll(&file, 1, 0) <= 0;
}

/* Waits for something to happen; false: it is time to end. */
static bool watch(const struct guard *guard, int milliseconds) {
  struct pollfd files[] = {{guard->control, POLLIN, 0},
                           {child_pipe[0], POLLIN, 0},
                           {guard->parent_fd, POLLIN, 0}};
  poll(files, guard->parent_fd < 0 ? 2 : 3, milliseconds);
  char bytes[256];
  while (read(child_pipe[0], bytes, sizeof bytes) > 0) {
  }
  return !files[0].revents && parent_lives(guard);
}

static pid_t parent_of(const char *pid) {
  char path[64], text[512];
  snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  ssize_t size = read(fd, text, sizeof text - 1);
  close(fd);
  if (size <= 0) return 0;
  text[size] = 0;
  const char *end = strrchr(text, ')');
  return end == NULL ? 0 : atoi(end + 4); /* ") S PARENT" */
}

/* Grandchildren become children when their parents die, so this reaches all in a few rounds. */
static void kill_children(void) {
  DIR *folder = opendir("/proc");
  if (folder == NULL) return;
  const struct dirent *entry;
  while ((entry = readdir(folder)) != NULL)
    if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' && parent_of(entry->d_name) == getpid())
      kill(atoi(entry->d_name), SIGKILL);
  closedir(folder);
}

static long now_ms(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static void end_all(const struct guard *guard) {
  bool any = reap(guard);
  if (any && guard->grace_ms > 0) {
    long until = now_ms() + guard->grace_ms;
    kill(guard->program, SIGTERM);
    for (long left; any && (left = until - now_ms()) > 0; any = reap(guard)) {
      struct pollfd file = {child_pipe[0], POLLIN, 0};
      char bytes[256];
      poll(&file, 1, (int)left);
      while (read(child_pipe[0], bytes, sizeof bytes) > 0) {
      }
    }
  }
  if (any) kill(-guard->program, SIGKILL);
  for (; any; any = reap(guard)) {
    kill_children();
    struct pollfd file = {child_pipe[0], POLLIN, 0};
    poll(&file, 1, 20);
    char bytes[256];
    while (read(child_pipe[0], bytes, sizeof bytes) > 0) {
    }
  }
}

static int remove_one(const char *path, const struct stat *facts, int kind, struct FTW *place) {
  (void)facts;
  (void)kind;
  (void)place;
  if (remove(path) < 0 && errno == EACCES) {
    /* Games make folders that even they cannot write to. */
    char *folder = strdup(path), *slash = folder ? strrchr(folder, '/') : NULL;
    if (slash != NULL) {
      *slash = 0;
      if (chmod(folder, 0700) == 0 && remove(path) < 0) perror(path);
    }
    free(folder);
  }
  return 0;
}

int main(int argc, char **argv) {
  if (argc < 9) {
    fputs("guard: this is started by a simulator session, not by hand\n", stderr);
    return 2;
  }
  struct guard guard = {.parent = atoi(argv[1]), .control = atoi(argv[2]), .status = atoi(argv[3]),
                        .home = argv[4], .grace_ms = atoi(argv[5])};
  bool fixed = atoi(argv[6]) != 0;
  fcntl(guard.control, F_SETFD, FD_CLOEXEC);
  fcntl(guard.status, F_SETFD, FD_CLOEXEC);
  const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGUSR1, SIGUSR2};
  for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++) signal(ignored[i], SIG_IGN);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  guard.parent_fd = (int)syscall(SYS_pidfd_open, guard.parent, 0); /* close-on-exec by nature */
  sigset_t none;
  sigemptyset(&none);
  if (pipe2(child_pipe, O_CLOEXEC | O_NONBLOCK) == 0 && getppid() == guard.parent) {
    struct sigaction action = {.sa_handler = on_child, .sa_flags = SA_RESTART};
    sigaction(SIGCHLD, &action, NULL);
    guard.program = fork();
    if (guard.program == 0) run_program(&guard, fixed, argv + 7, &none);
    if (guard.program < 0) {
      say(&guard, "fail", errno);
    } else {
      say(&guard, "pid", guard.program);
    }
    bool any = guard.program > 0;
    while (watch(&guard, guard.parent_fd < 0 ? LOOK_MS : -1))
      if (any && !(any = reap(&guard))) say(&guard, "gone", 0);
    if (any) end_all(&guard);
  }
  if (strcmp(guard.home, "-") != 0) nftw(guard.home, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  return 0;
}
