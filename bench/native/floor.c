/* The least that a prompt out and RTP in can cost on this machine: what the engine is measured against.
 *
 *   floor LEGS PORT REMOTE_PORT
 *
 * One connected UDP socket a leg on 127.0.0.1:PORT+2n, its far end at REMOTE_PORT+2n. Every 20 ms, in one of four
 * slots of 5 ms, a leg takes in what has come (sequence numbers and keys are looked at, nothing else) and sends a
 * packet of sound. No signalling, no commands, no locks, no RTCP, no checks. Runs until its standard input is closed,
 * then prints one line of JSON. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HEADER = 12, FRAME = 160, PROMPT = 500 * FRAME, SLOTS = 4, AT_ONCE = 8 };
#define SECOND 1000000000LL
#define SLOT 5000000LL

typedef struct {
    int fd;
    uint16_t sequence_in, sequence_out;
    uint32_t timestamp, ssrc, key_timestamp;
    size_t at;
} Leg;

static uint8_t prompt[PROMPT];
static int64_t received, sent, lost, keys, errors;

static int64_t monotonic_now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * SECOND + time.tv_nsec;
}

static void take(Leg *leg, const uint8_t *packet, size_t size)
{
    if (size < HEADER || packet[0] >> 6 != 2)
        return;
    uint16_t sequence = (uint16_t)(packet[2] << 8 | packet[3]);
    lost += received && (uint16_t)(sequence - leg->sequence_in) != 1;
    leg->sequence_in = sequence;
    received++;
    uint32_t timestamp;
    memcpy(&timestamp, packet + 4, sizeof timestamp);
    if ((packet[1] & 0x7F) == 101 && timestamp != leg->key_timestamp) {
        leg->key_timestamp = timestamp;
        keys++;
    }
}

static void receive(Leg *leg)
{
    static uint8_t bytes[AT_ONCE][512];
    static struct iovec vectors[AT_ONCE];
    static struct mmsghdr headers[AT_ONCE];
    for (int i = 0; i < AT_ONCE; i++) {
        vectors[i] = (struct iovec){bytes[i], sizeof bytes[i]};
        headers[i].msg_hdr.msg_iov = &vectors[i];
        headers[i].msg_hdr.msg_iovlen = 1;
    }
    int count = recvmmsg(leg->fd, headers, AT_ONCE, MSG_DONTWAIT, NULL);
    for (int i = 0; i < count; i++)
        take(leg, bytes[i], headers[i].msg_len);
}

static void speak(Leg *leg)
{
    uint8_t packet[HEADER + FRAME] = {0x80, 0, (uint8_t)(leg->sequence_out >> 8), (uint8_t)leg->sequence_out};
    uint32_t timestamp = htonl(leg->timestamp);
    memcpy(packet + 4, &timestamp, sizeof timestamp);
    memcpy(packet + 8, &leg->ssrc, sizeof leg->ssrc);
    memcpy(packet + HEADER, prompt + leg->at, FRAME);
    leg->at = (leg->at + FRAME) % PROMPT;
    leg->sequence_out++;
    leg->timestamp += FRAME;
    if (send(leg->fd, packet, sizeof packet, MSG_DONTWAIT) < 0)
        errors++;
    else
        sent++;
}

static void leg_open(Leg *leg, int port, int remote_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    leg->fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (leg->fd < 0 || bind(leg->fd, (struct sockaddr *)&address, sizeof address)) {
        perror("leg");
        exit(1);
    }
    address.sin_port = htons((uint16_t)remote_port);
    if (connect(leg->fd, (struct sockaddr *)&address, sizeof address)) {
        perror("leg");
        exit(1);
    }
    leg->ssrc = (uint32_t)rand();
}

static double cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
           + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

int main(int count, char **arguments)
{
    if (count != 4) {
        fprintf(stderr, "usage: floor LEGS PORT REMOTE_PORT\n");
        return 2;
    }
    int legs = atoi(arguments[1]), port = atoi(arguments[2]), remote_port = atoi(arguments[3]);
    Leg *all = calloc((size_t)legs, sizeof *all);
    if (!all)
        return 1;
    for (int i = 0; i < PROMPT; i++)
        prompt[i] = (uint8_t)rand();
    for (int i = 0; i < legs; i++)
        leg_open(&all[i], port + 2 * i, remote_port + 2 * i);
    prctl(PR_SET_TIMERSLACK, 1);
    struct sched_param parameters = {.sched_priority = 10};
    sched_setscheduler(0, SCHED_RR, &parameters);
    printf("READY\n");
    fflush(stdout);

    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    double cpu_before = cpu_seconds();
    int64_t due = monotonic_now() + SLOT, late = 0;
    for (int64_t slot = 0;; slot++, due += SLOT) {
        struct timespec time = {due / SECOND, due % SECOND};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL);
        late += monotonic_now() - due > SLOT;
        for (int i = (int)(slot % SLOTS); i < legs; i += SLOTS) {
            receive(&all[i]);
            speak(&all[i]);
        }
        if (slot % 200 == 0 && poll(&input, 1, 0))
            break;
    }
    printf("{\"cpu_s\": %.4f, \"received\": %" PRId64 ", \"sent\": %" PRId64 ", \"keys\": %" PRId64
           ", \"lost\": %" PRId64 ", \"send_errors\": %" PRId64 ", \"late_slots\": %" PRId64 "}\n",
           cpu_seconds() - cpu_before, received, sent, keys, lost, errors, late);
    return 0;
}
