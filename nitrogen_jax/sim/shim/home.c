/* Games that ask the user database for the home folder find the fresh one. */
#include "shim.h"

#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool redirected(uid_t user) {
  return ng_active() && user == getuid() && getenv("HOME") != NULL;
}

EXPORT struct passwd *getpwuid(uid_t user) {
  typedef struct passwd *(*type)(uid_t);
  static type real;
  if (real == NULL) real = (type)ng_next("getpwuid");
  struct passwd *entry = real(user);
  if (entry != NULL && redirected(user)) entry->pw_dir = getenv("HOME");
  return entry;
}

EXPORT struct passwd *getpwnam(const char *name) {
  typedef struct passwd *(*type)(const char *);
  static type real;
  if (real == NULL) real = (type)ng_next("getpwnam");
  struct passwd *entry = real(name);
  if (entry != NULL && redirected(entry->pw_uid)) entry->pw_dir = getenv("HOME");
  return entry;
}

EXPORT int getpwuid_r(uid_t user, struct passwd *entry, char *buffer, size_t size,
                      struct passwd **result) {
  typedef int (*type)(uid_t, struct passwd *, char *, size_t, struct passwd **);
  static type real;
  if (real == NULL) real = (type)ng_next("getpwuid_r");
  int error = real(user, entry, buffer, size, result);
  if (error == 0 && *result != NULL && redirected(user)) entry->pw_dir = getenv("HOME");
  return error;
}
