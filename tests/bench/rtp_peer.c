/* The far end of bench_rtp.py's calls: every 20 ms one packet of a fixed payload to each call's port, and whatever
 * comes back is read and dropped. In C, so that it takes nothing from the cores that are measured.
 *
 *     rtp_peer CALLS PAYLOAD_TYPE UNITS PAYLOAD_HEX      ports of its sockets on stdout, those of the calls on stdin
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SLOTS = 10, MOST = 4096 };

static int sockets[MOST];
static uint16_t sequences[MOST];
static uint32_t timestamps[MOST];

static struct sockaddr_in local(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

int main(int count, char **words)
{
    if (count != 5) return 2;
    int calls = atoi(words[1]), kind = atoi(words[2]), units = atoi(words[3]);
    size_t size = strlen(words[4]) / 2;
    unsigned char packet[12 + 1500] = {0x80, (unsigned char)kind}, heard[2048];
    if (calls < 1 || calls > MOST || size > 1500) return 2;
    for (size_t i = 0; i < size; i++) sscanf(words[4] + 2 * i, "%2hhx", packet + 12 + i);
    for (int call = 0; call < calls; call++) {
        struct sockaddr_in address = local(0);
        socklen_t length = sizeof address;
        sockets[call] = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
        if (bind(sockets[call], (struct sockaddr *)&address, sizeof address)) return 1;
        getsockname(sockets[call], (struct sockaddr *)&address, &length);
        printf("%s%d", call ? ", " : "[", ntohs(address.sin_port));
    }
    printf("]\n");
    fflush(stdout);
    for (int call = 0; call < calls; call++) {
        int port;
        if (scanf("%*[^0-9]%d", &port) != 1) return 1;
        struct sockaddr_in address = local(port);
        if (connect(sockets[call], (struct sockaddr *)&address, sizeof address)) return 1;
    }
    struct timespec due;
    clock_gettime(CLOCK_MONOTONIC, &due);
    for (long turn = 0; getppid() != 1; turn++) {
        for (int call = turn % SLOTS; call < calls; call += SLOTS) {
            uint16_t sequence = htons(sequences[call]++);
            uint32_t timestamp = htonl(timestamps[call]), ssrc = htonl(call);
            timestamps[call] += units;
            memcpy(packet + 2, &sequence, 2);
            memcpy(packet + 4, &timestamp, 4);
            memcpy(packet + 8, &ssrc, 4);
            send(sockets[call], packet, 12 + size, 0);
            while (recv(sockets[call], heard, sizeof heard, 0) > 0) { }
        }
        due.tv_nsec += 20000000 / SLOTS;
        if (due.tv_nsec >= 1000000000) { due.tv_sec++; due.tv_nsec -= 1000000000; }
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
    }
    return 0;
}
