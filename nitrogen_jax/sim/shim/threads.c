/* New threads: time does not move before they have come to rest once, so that what they wait for
   first begins at the same moment in every run. */
#include "shim.h"

#include <pthread.h>

EXPORT int pthread_create(pthread_t *restrict thread, const pthread_attr_t *restrict attributes,
                          void *(*body)(void *), void *restrict argument) {
  typedef int (*type)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
  static type real;
  if (real == NULL) real = (type)ng_next_version("pthread_create", "GLIBC_2.34");
  int error = real(thread, attributes, body, argument);
  if (error == 0 && ng_active()) ng_stir();
  return error;
}
