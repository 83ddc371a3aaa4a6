/* A virtual game controller of SDL 2, which needs no kernel device.

   Its axes, buttons and hat are numbered as Linux numbers those of an Xbox 360 pad, because SDL's
   table of pads, those that games bring along, and games that read raw numbers all take them so.
   SDL asks for its state at every SDL_JoystickUpdate, so the game sees what the controller wrote
   before the step, in the very frame of the step. */
#include "shim.h"

#include <stdlib.h>
#include <string.h>

#define SDL2 "libSDL2"
#define WITH_JOYSTICKS 0x2200u /* SDL_INIT_JOYSTICK | SDL_INIT_GAMECONTROLLER */
#define GAME_CONTROLLER 1
#define BUTTONS (NG_BUTTONS - 4) /* the others are the hat's */
/* For versions of SDL whose table does not know a virtual pad. */
#define MAPPING                                                                                 \
  "a:b0,b:b1,x:b2,y:b3,leftshoulder:b4,rightshoulder:b5,back:b6,start:b7,guide:b8,leftstick:b9," \
  "rightstick:b10,dpup:h0.1,dpright:h0.2,dpdown:h0.4,dpleft:h0.8,leftx:a0,lefty:a1,"            \
  "lefttrigger:a2,rightx:a3,righty:a4,righttrigger:a5,"

struct guid {
  uint8_t bytes[16];
};
struct description {
  uint16_t version, type, axes, buttons, hats, vendor, product, padding;
  uint32_t button_mask, axis_mask;
  const char *name;
  void *data;
  void (*update)(void *);
  void (*set_player)(void *, int);
  int (*rumble)(void *, uint16_t, uint16_t);
  int (*rumble_triggers)(void *, uint16_t, uint16_t);
  int (*set_led)(void *, uint8_t, uint8_t, uint8_t);
  int (*send_effect)(void *, const void *, int);
};

static struct {
  int (*JoystickAttachVirtualEx)(const struct description *);  /* from 2.24 on */
  int (*JoystickAttachVirtual)(int, int, int, int);            /* from 2.0.14 on */
  void *(*JoystickOpen)(int);
  int (*JoystickSetVirtualAxis)(void *, int, int16_t);
  int (*JoystickSetVirtualButton)(void *, int, uint8_t);
  int (*JoystickSetVirtualHat)(void *, int, uint8_t);
  struct guid (*JoystickGetDeviceGUID)(int);
  void (*JoystickGetGUIDString)(struct guid, char *, int);
  int (*GameControllerAddMapping)(const char *);
} sdl;
static void *joystick;
static bool attached, pushed; /* pushed: this SDL does not ask */

static void copy_state(void) {
  if (joystick == NULL) return;
  uint8_t hat = 0;
  for (int i = 0; i < NG_AXES; i++) sdl.JoystickSetVirtualAxis(joystick, i, ng_page->axes[i]);
  for (int i = 0; i < BUTTONS; i++) sdl.JoystickSetVirtualButton(joystick, i, ng_page->buttons[i]);
  for (int i = BUTTONS; i < NG_BUTTONS; i++)
    hat |= (uint8_t)((ng_page->buttons[i] != 0) << (i - BUTTONS)); /* up, right, down, left */
  sdl.JoystickSetVirtualHat(joystick, 0, hat);
}

static void update(void *unused) {
  (void)unused;
  __atomic_add_fetch(&NG(pad_polls), 1, __ATOMIC_RELAXED);
  copy_state();
}

void ng_pad_push(void) {
  if (pushed) update(NULL);
}

static int no_rumble(void *data, uint16_t low, uint16_t high) {
  (void)data;
  (void)low;
  (void)high;
  return 0;
}

static int attach(void) {
  static const struct description pad = {
      .version = 1, .type = GAME_CONTROLLER, .axes = NG_AXES, .buttons = BUTTONS, .hats = 1,
      .vendor = 0x045e, .product = 0x028e, /* an Xbox 360 pad, which every game knows */
      .button_mask = 0x7fff, .axis_mask = (1u << NG_AXES) - 1,
      .name = "Xbox 360 Controller", .update = update, .rumble = no_rumble};
#define FIND(name) *(void **)&sdl.name = ng_find(SDL2, "SDL_" #name)
  FIND(JoystickAttachVirtualEx);
  FIND(JoystickAttachVirtual);
  FIND(JoystickOpen);
  FIND(JoystickSetVirtualAxis);
  FIND(JoystickSetVirtualButton);
  FIND(JoystickSetVirtualHat);
  FIND(JoystickGetDeviceGUID);
  FIND(JoystickGetGUIDString);
  FIND(GameControllerAddMapping);
  if (!sdl.JoystickOpen || !sdl.JoystickSetVirtualAxis || !sdl.JoystickSetVirtualButton ||
      !sdl.JoystickSetVirtualHat)
    return -1;
  if (sdl.JoystickAttachVirtualEx) return sdl.JoystickAttachVirtualEx(&pad);
  if (!sdl.JoystickAttachVirtual) return -1;
  pushed = true;
  return sdl.JoystickAttachVirtual(GAME_CONTROLLER, NG_AXES, BUTTONS, 1);
}

static void add_mapping(int index) {
  char text[512] = "";
  if (!sdl.JoystickGetDeviceGUID || !sdl.JoystickGetGUIDString || !sdl.GameControllerAddMapping)
    return;
  sdl.JoystickGetGUIDString(sdl.JoystickGetDeviceGUID(index), text, 40);
  strncat(text, ",Xbox 360 Controller," MAPPING, sizeof text - strlen(text) - 1);
  sdl.GameControllerAddMapping(text);
}

void ng_pad_attach(void) {
  if (attached || !ng_active() || !NG(pad_wanted)) return;
  attached = true;
  int index = attach();
  if (index < 0) return;
  add_mapping(index);
  joystick = sdl.JoystickOpen(index);
  NG(pad_attached) = joystick != NULL;
}

/* SDL 1.2 and SDL 2 have functions of these names. Where the newer implementation of 1.2 loaded
   SDL 2, it asked for them with dlsym and was given the second pair. */
typedef int (*init_type)(uint32_t);
static init_type sdl2_init, sdl2_init_subsystem;

bool ng_sdl1_is_sdl2(void) { return sdl2_init != NULL; }

static int initialised(int result, uint32_t flags) {
  if (result == 0 && (flags & WITH_JOYSTICKS)) ng_pad_attach();
  return result;
}

static int init_below(uint32_t flags) { return initialised(sdl2_init(flags), flags); }

static int init_subsystem_below(uint32_t flags) {
  return initialised(sdl2_init_subsystem(flags), flags);
}

void *ng_sdl_hook(void *handle, const char *name) {
  bool first = strcmp(name, "SDL_Init") == 0;
  if (!first && strcmp(name, "SDL_InitSubSystem") != 0) return NULL;
  if (handle == NULL || handle != ng_library(SDL2)) return NULL;
  void *real = ng_real_dlsym(handle, name);
  if (real == NULL) return NULL;
  if (first)
    sdl2_init = (init_type)real;
  else
    sdl2_init_subsystem = (init_type)real;
  return first ? (void *)init_below : (void *)init_subsystem_below;
}

static int init(const char *name, uint32_t flags) {
  void *old = ng_library("libSDL-1.2");
  init_type real = (init_type)(old ? ng_real_dlsym(old, name) : ng_find(SDL2, name));
  if (real == NULL) return -1;
  int result = real(flags);
  return old ? result : initialised(result, flags);
}

EXPORT int SDL_Init(uint32_t flags) { return init("SDL_Init", flags); }

EXPORT int SDL_InitSubSystem(uint32_t flags) { return init("SDL_InitSubSystem", flags); }
