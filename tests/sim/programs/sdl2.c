/* present: renderer (default), surface, gl. */
#include "scene.h"

#include <SDL.h>
#include <SDL_opengl.h>

enum { WIDTH = 64, HEIGHT = 48 };

static void take_events(void) {
  SDL_Event event;
  while (SDL_PollEvent(&event)) {
    if (event.type == SDL_QUIT) exit(0);
    if (event.type == SDL_CONTROLLERBUTTONDOWN) {
      numbers[PRESSES]++;
      numbers[DOWN] |= 1u << event.cbutton.button;
    }
    if (event.type == SDL_CONTROLLERBUTTONUP) {
      numbers[RELEASES]++;
      numbers[DOWN] &= ~(1u << event.cbutton.button);
    }
    if (event.type == SDL_KEYDOWN && !event.key.repeat) numbers[KEYS]++;
  }
}

static void draw_surface(SDL_Surface *surface) {
  for (int i = 0; i < NUMBERS; i++) {
    SDL_Rect cell = {i, 0, 1, 1};
    uint32_t n = numbers[i];
    SDL_FillRect(surface, &cell, SDL_MapRGB(surface->format, n >> 16 & 255, n >> 8 & 255, n & 255));
  }
}

static void draw(SDL_Renderer *renderer) {
  SDL_SetRenderDrawColor(renderer, numbers[FRAME] & 255, 20, 30, 255);
  SDL_RenderClear(renderer);
  for (int i = 0; i < NUMBERS; i++) {
    uint32_t n = numbers[i];
    SDL_SetRenderDrawColor(renderer, n >> 16 & 255, n >> 8 & 255, n & 255, 255);
    SDL_RenderDrawPoint(renderer, i, 0);
  }
}

static void draw_gl(void) {
  glDisable(GL_DITHER);
  glClearColor(0, 0, 0, 1);
  glClear(GL_COLOR_BUFFER_BIT);
  glEnable(GL_SCISSOR_TEST);
  for (int i = 0; i < NUMBERS; i++) {
    uint32_t n = numbers[i];
    glScissor(i, HEIGHT - 1, 1, 1);
    glClearColor((n >> 16 & 255) / 255.0f, (n >> 8 & 255) / 255.0f, (n & 255) / 255.0f, 1);
    glClear(GL_COLOR_BUFFER_BIT);
  }
  glDisable(GL_SCISSOR_TEST);
}

int main(int argc, char **argv) {
  if (given(argc, argv, "fork") && fork() != 0) {
    if (given(argc, argv, "fork-stay")) pause();
    return 0;
  }
  int gl = given(argc, argv, "gl"), surface = given(argc, argv, "surface");
  if (SDL_Init(SDL_INIT_VIDEO | SDL_INIT_GAMECONTROLLER) < 0) {
    fprintf(stderr, "no SDL: %s\n", SDL_GetError());
    return 9;
  }
  SDL_GameController *pad = SDL_NumJoysticks() > 0 ? SDL_GameControllerOpen(0) : NULL;
  SDL_Window *window = SDL_CreateWindow("scene", 0, 0, WIDTH, HEIGHT, gl ? SDL_WINDOW_OPENGL : 0);
  if (window == NULL) {
    fprintf(stderr, "no window: %s\n", SDL_GetError());
    return 8;
  }
  SDL_Renderer *renderer = NULL;
  if (gl)
    SDL_GL_CreateContext(window);
  else if (!surface)
    renderer = SDL_CreateRenderer(window, -1, 0);
  begin(argc, argv);
  for (;;) {
    take_events();
    think(argc, argv);
    if (pad != NULL)
      numbers[AXIS] = (uint32_t)(SDL_GameControllerGetAxis(pad, SDL_CONTROLLER_AXIS_LEFTX) + 32768);
    if (gl) {
      draw_gl();
      SDL_GL_SwapWindow(window);
    } else if (surface) {
      draw_surface(SDL_GetWindowSurface(window));
      SDL_UpdateWindowSurface(window);
    } else {
      draw(renderer);
      SDL_RenderPresent(renderer);
    }
  }
}
