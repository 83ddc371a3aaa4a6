/* The frame boundary of Vulkan. Its images are not read here: they are the driver's. */
#include "shim.h"

#include <string.h>

#define VULKAN "libvulkan"

typedef void (*function)(void);
typedef function (*lookup_type)(void *, const char *);

EXPORT int vkQueuePresentKHR(void *queue, const void *info) {
  /* The loader's own function finds the device by the queue. */
  typedef int (*type)(void *, const void *);
  static type real;
  if (real == NULL) real = (type)ng_find(VULKAN, "vkQueuePresentKHR");
  if (real == NULL) return -3; /* VK_ERROR_INITIALIZATION_FAILED */
  bool counts = ng_enter();
  int result = real(queue, info);
  if (counts) {
    ng_boundary(NG_VULKAN);
    ng_leave();
  }
  return result;
}

static function replaced(const char *name, function real) {
  bool ours = real != NULL && name != NULL && strncmp(name, "vk", 2) == 0 && ng_active();
  void *hook = ours ? ng_hook(name) : NULL;
  return hook != NULL ? (function)hook : real;
}

EXPORT function vkGetInstanceProcAddr(void *instance, const char *name) {
  static lookup_type real;
  if (real == NULL) real = (lookup_type)ng_find(VULKAN, "vkGetInstanceProcAddr");
  return real != NULL ? replaced(name, real(instance, name)) : NULL;
}

EXPORT function vkGetDeviceProcAddr(void *device, const char *name) {
  static lookup_type real;
  if (real == NULL) real = (lookup_type)ng_find(VULKAN, "vkGetDeviceProcAddr");
  return real != NULL ? replaced(name, real(device, name)) : NULL;
}
