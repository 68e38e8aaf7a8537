/* What the media path of one G.711 call costs in C: for bench_rtp.py, which builds and runs it.
   For each call every 20 ms: recv, A-law decode, 8 to 16 kHz (48 taps), 24 to 8 kHz (144 taps), A-law encode, header, send.
   Usage: native_echo CALLS SECONDS; prints CPU microseconds a frame. */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static double cpu(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static int16_t expand[256];
static uint8_t compress[65536];

int main(int argc, char **argv) {
  int calls = atoi(argv[1]), rounds = atoi(argv[2]) * 50;
  int *ours = malloc(calls * sizeof(int)), *peers = malloc(calls * sizeof(int));
  float up[24], down[144], wide[320], history[144 + 480] = {0}, past[24 + 160] = {0};
  uint8_t packet[172] = {0x80, 8}, got[2048];
  double spent = 0;
  volatile float sink = 0;
  for (int i = 0; i < 256; i++) expand[i] = (int16_t)((i ^ 0x55) * 128 - 16384);
  for (int i = 0; i < 65536; i++) compress[i] = (uint8_t)((i >> 8) ^ 0xD5);
  for (int i = 0; i < 24; i++) up[i] = 0.04f;
  for (int i = 0; i < 144; i++) down[i] = 0.007f;
  for (int i = 0; i < calls; i++) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}, b = a;
    socklen_t n = sizeof a;
    ours[i] = socket(AF_INET, SOCK_DGRAM, 0);
    peers[i] = socket(AF_INET, SOCK_DGRAM, 0);
    bind(ours[i], (struct sockaddr *)&a, n);
    bind(peers[i], (struct sockaddr *)&b, n);
    getsockname(ours[i], (struct sockaddr *)&a, &n);
    getsockname(peers[i], (struct sockaddr *)&b, &n);
    connect(peers[i], (struct sockaddr *)&a, n);
    connect(ours[i], (struct sockaddr *)&b, n);
  }
  for (int r = 0; r < rounds; r++) {
    for (int i = 0; i < calls; i++) { /* the peer: not counted */
      while (recv(peers[i], got, sizeof got, MSG_DONTWAIT) > 0) {}
      send(peers[i], packet, sizeof packet, 0);
    }
    double begun = cpu();
    for (int i = 0; i < calls; i++) {
      ssize_t size = recv(ours[i], got, sizeof got, MSG_DONTWAIT);
      for (int k = 0; k + 12 < size; k++) past[24 + k] = expand[got[12 + k]];
      for (int k = 0; k < 320; k++) {
        float sum = 0;
        for (int t = 0; t < 24; t++) sum += past[k / 2 + t] * up[t];
        wide[k] = sum;
      }
      memmove(past, past + 160, 24 * sizeof(float));
      for (int k = 0; k < 480; k++) history[144 + k] = wide[k * 2 / 3];
      for (int k = 0; k < 160; k++) {
        float sum = 0;
        for (int t = 0; t < 144; t++) sum += history[3 * k + t] * down[t];
        packet[12 + k] = compress[(uint16_t)(int16_t)sum];
      }
      memmove(history, history + 480, 144 * sizeof(float));
      sink += wide[5];
      send(ours[i], packet, sizeof packet, MSG_DONTWAIT);
    }
    spent += cpu() - begun;
    usleep(2000);
  }
  printf("%.2f\n", 1e6 * spent / rounds / calls);
  return 0;
}
