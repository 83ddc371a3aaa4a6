#include "scene.h"

#include <SDL.h>

int main(int argc, char **argv) {
  if (SDL_Init(SDL_INIT_VIDEO) < 0) return 9;
  int depth = number_of(argc, argv, "depth=", 32);
  SDL_Surface *screen = SDL_SetVideoMode(64, 48, depth, SDL_SWSURFACE);
  if (screen == NULL) return 8;
  begin(argc, argv);
  for (;;) {
    SDL_Event event;
    while (SDL_PollEvent(&event))
      if (event.type == SDL_KEYDOWN) numbers[KEYS]++;
    think(argc, argv);
    for (int i = 0; i < NUMBERS; i++) {
      SDL_Rect cell = {(Sint16)i, 0, 1, 1};
      uint32_t n = numbers[i];
      SDL_FillRect(screen, &cell, SDL_MapRGB(screen->format, n >> 16 & 255, n >> 8 & 255, n & 255));
    }
    SDL_Rect red = {32, 24, 4, 4};
    SDL_FillRect(screen, &red, SDL_MapRGB(screen->format, 255, 0, 0));
    SDL_Flip(screen);
  }
}
