/* dlsym and its table: programs that look functions up get the ones of the shim as well. */
#include "shim.h"

#include <dlfcn.h>
#include <string.h>

#define HOOKS(X)                                                                              \
  X(SDL_GL_SwapWindow) X(SDL_RenderPresent) X(SDL_UpdateWindowSurface)                        \
  X(SDL_UpdateWindowSurfaceRects) X(SDL_Flip) X(SDL_UpdateRect) X(SDL_UpdateRects)            \
  X(SDL_GL_SwapBuffers) X(glXSwapBuffers) X(eglSwapBuffers) X(eglGetProcAddress)              \
  X(glXGetProcAddress) X(glXGetProcAddressARB) X(vkQueuePresentKHR)                           \
  X(vkGetInstanceProcAddr) X(vkGetDeviceProcAddr)                                             \
  X(clock_gettime) X(gettimeofday) X(time) X(clock) X(nanosleep) X(clock_nanosleep)           \
  X(usleep) X(sleep) X(getrandom) X(getentropy) X(pthread_cond_timedwait)                     \
  X(pthread_cond_clockwait) X(sem_timedwait) X(sem_clockwait) X(poll) X(ppoll) X(select)      \
  X(pselect) X(epoll_wait) X(epoll_pwait) X(timerfd_create) X(timerfd_settime)                \
  X(timerfd_gettime) X(setitimer) X(getitimer) X(alarm) X(close) X(syscall)

/* Only the addresses matter here, so that no type has to be known. */
#define DECLARE(name) extern const char at_##name[] __asm__(#name);
HOOKS(DECLARE)

#define ROW(name) {#name, at_##name},
static const struct {
  const char *name, *function;
} ours[] = {HOOKS(ROW)};

void *ng_hook(const char *name) {
  for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
    if (strcmp(ours[i].name, name) == 0) return (void *)ours[i].function;
  return NULL;
}

/* Another interposer asks for the next function: it must get that, and not ours again. The call is
   the last thing done, or the C library would take the shim for the one that asks. */
EXPORT void *dlsym(void *restrict handle, const char *restrict name) {
  if (handle == RTLD_NEXT || handle == RTLD_DEFAULT || !ng_active())
    return ng_real_dlsym(handle, name);
  void *ours_for_sdl = ng_sdl_hook(handle, name);
  if (ours_for_sdl != NULL) return ours_for_sdl;
  void *hook = ng_hook(name);
  /* Only where the library has it: programs find out by this what there is. */
  if (hook != NULL && ng_real_dlsym(handle, name) != NULL) return hook;
  return ng_real_dlsym(handle, name);
}
