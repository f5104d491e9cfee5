/* Many phones for a measurement: each sends 50 packets of PCMU a second and takes in what comes back.
 *
 *   load LEGS SECONDS SERVER_PORT OWN_PORT
 *
 * Phone n sends from 127.0.0.1:OWN_PORT+2n to SERVER_PORT+2n, at a moment of its own within each 20 ms, and presses a
 * key (RFC 4733) every two seconds. Prints one line of JSON. The deviation is how far a packet that came back is from
 * its phone's grid of 20 ms, laid through the median; it is taken from the kernel's time stamps, so that the load
 * generator's own lateness does not count. The latency is that of packets which come back with a phone's stamp, from
 * one phone to another through a bridge. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    HEADER = 12,
    FRAME = 160,
    PACKET = HEADER + FRAME,
    EVENT_PACKET = HEADER + 4,
    PHASES = 20,            /* a phone sends in one of the milliseconds of 20 ms */
    KEY_EVERY = 100,        /* packets */
    KEY_PACKETS = 8,        /* five while it is held, three at its end */
    SETTLE_PACKETS = 50,    /* not judged: sockets and caches warm up */
    DRAIN_MS = 300,
    AT_ONCE = 8,
};

static const char STAMP[4] = "STMP";
#define SECOND 1000000000LL
#define MILLISECOND 1000000LL

typedef struct {
    int fd;
    int phase;
    uint16_t sequence;
    uint32_t timestamp;
    uint32_t ssrc;
    uint32_t key_timestamp;
    uint8_t key;
    bool pressing;
    bool heard;
    int64_t newest;   /* sequence number received, extended beyond 16 bits */
    int64_t first;
    int64_t *arrivals; /* by sequence number from the first; 0 for none */
    int64_t length;
} Phone;

typedef struct {
    int64_t sent, send_errors, received, duplicates, keys;
    int64_t capacity;
    int64_t end;      /* of sending; what comes later is not judged */
    double *latencies;
    size_t latency_count, latency_room;
} Totals;

static int64_t clock_now(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return time.tv_sec * SECOND + time.tv_nsec;
}

static void sleep_until(int64_t when)
{
    struct timespec time = {when / SECOND, when % SECOND};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) == EINTR)
        ;
}

static void put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
    put16(at, value >> 16);
    put16(at + 2, value);
}

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static struct sockaddr_in loopback(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static void phone_open(Phone *phone, int own_port, int server_port, int64_t capacity)
{
    struct sockaddr_in own = loopback(own_port), server = loopback(server_port);
    int on = 1;
    phone->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    setsockopt(phone->fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    if (phone->fd < 0 || bind(phone->fd, (struct sockaddr *)&own, sizeof own)
        || connect(phone->fd, (struct sockaddr *)&server, sizeof server))
        fail("phone");
    phone->phase = rand() % PHASES;
    phone->sequence = (uint16_t)rand();
    phone->timestamp = (uint32_t)rand();
    phone->ssrc = (uint32_t)rand();
    phone->arrivals = calloc((size_t)capacity, sizeof *phone->arrivals);
}

static void phone_send(Phone *phone, int64_t frame, int64_t start, Totals *totals)
{
    uint8_t packet[PACKET];
    size_t size = PACKET;
    int64_t of_key = (frame + phone->phase * 5) % KEY_EVERY;
    if (!of_key)
        phone->pressing = frame >= KEY_EVERY;
    bool pressing = phone->pressing && of_key < KEY_PACKETS;
    uint32_t timestamp = phone->timestamp;
    packet[0] = 0x80;
    if (pressing) {
        if (!of_key) {
            phone->key_timestamp = timestamp;
            phone->key = (uint8_t)((phone->key + 1) % 12);
            totals->keys++;
        }
        int64_t held = of_key < KEY_PACKETS - 3 ? of_key + 1 : KEY_PACKETS - 3;
        timestamp = phone->key_timestamp;
        packet[1] = (uint8_t)(101 | (of_key ? 0 : 0x80));
        packet[HEADER] = phone->key;
        packet[HEADER + 1] = (uint8_t)(10 | (of_key >= KEY_PACKETS - 3 ? 0x80 : 0));
        put16(packet + HEADER + 2, (uint32_t)held * FRAME);
        size = EVENT_PACKET;
    } else {
        packet[1] = 0;
        memset(packet + HEADER, 0x55, FRAME);
        memcpy(packet + HEADER, STAMP, sizeof STAMP);
        int64_t since = clock_now(CLOCK_MONOTONIC) - start;
        memcpy(packet + HEADER + sizeof STAMP, &since, sizeof since);
    }
    put16(packet + 2, phone->sequence++);
    put32(packet + 4, timestamp);
    put32(packet + 8, phone->ssrc);
    phone->timestamp += FRAME;
    if (send(phone->fd, packet, size, 0) < 0)
        totals->send_errors++;
    else
        totals->sent++;
}

static void take(Phone *phone, const uint8_t *packet, size_t size, int64_t arrival, Totals *totals)
{
    totals->received++;
    if (size < HEADER || arrival > totals->end)
        return;
    uint16_t sequence = (uint16_t)(packet[2] << 8 | packet[3]);
    if (!phone->heard) {
        phone->heard = true;
        phone->first = phone->newest = sequence;
    }
    phone->newest += (int16_t)(sequence - (uint16_t)phone->newest);
    int64_t index = phone->newest - phone->first;
    if (index < 0 || index >= totals->capacity)
        return;
    totals->duplicates += phone->arrivals[index] != 0;
    phone->arrivals[index] = arrival;
    if (index >= phone->length)
        phone->length = index + 1;
    if (size == PACKET && index > SETTLE_PACKETS && !memcmp(packet + HEADER, STAMP, sizeof STAMP)
        && totals->latency_count < totals->latency_room) {
        int64_t sent;
        memcpy(&sent, packet + HEADER + sizeof STAMP, sizeof sent);
        totals->latencies[totals->latency_count++] = (double)(arrival - sent) / MILLISECOND;
    }
}

static void phone_receive(Phone *phone, int64_t start_realtime, Totals *totals)
{
    static uint8_t bytes[AT_ONCE][512];
    static char control[AT_ONCE][CMSG_SPACE(sizeof(struct timespec))];
    struct mmsghdr headers[AT_ONCE];
    struct iovec vectors[AT_ONCE];
    int count;
    do {
        memset(headers, 0, sizeof headers);
        for (int i = 0; i < AT_ONCE; i++) {
            vectors[i] = (struct iovec){bytes[i], sizeof bytes[i]};
            headers[i].msg_hdr.msg_iov = &vectors[i];
            headers[i].msg_hdr.msg_iovlen = 1;
            headers[i].msg_hdr.msg_control = control[i];
            headers[i].msg_hdr.msg_controllen = sizeof control[i];
        }
        count = recvmmsg(phone->fd, headers, AT_ONCE, 0, NULL);
        for (int i = 0; i < count; i++) {
            struct cmsghdr *message = CMSG_FIRSTHDR(&headers[i].msg_hdr);
            struct timespec stamp;
            if (!message || message->cmsg_type != SO_TIMESTAMPNS)
                continue;
            memcpy(&stamp, CMSG_DATA(message), sizeof stamp);
            take(phone, bytes[i], headers[i].msg_len, stamp.tv_sec * SECOND + stamp.tv_nsec - start_realtime, totals);
        }
    } while (count == AT_ONCE);
}

static int ascending(const void *one, const void *other)
{
    double a = *(const double *)one, b = *(const double *)other;
    return (a > b) - (a < b);
}

static double percentile(const double *sorted, size_t count, double share)
{
    return count ? sorted[(size_t)(share * (double)(count - 1))] : -1;
}

static size_t deviations_of(const Phone *phone, double *scratch, double *out, int64_t *lost)
{
    size_t count = 0;
    for (int64_t i = SETTLE_PACKETS; i < phone->length; i++) {
        if (phone->arrivals[i])
            scratch[count++] = (double)(phone->arrivals[i] - i * 20 * MILLISECOND) / MILLISECOND;
        else
            ++*lost;
    }
    if (!count)
        return 0;
    qsort(scratch, count, sizeof *scratch, ascending);
    double median = scratch[count / 2];
    for (size_t i = 0; i < count; i++)
        out[i] = fabs(scratch[i] - median);
    return count;
}

int main(int count, char **arguments)
{
    if (count != 5) {
        fprintf(stderr, "usage: load LEGS SECONDS SERVER_PORT OWN_PORT\n");
        return 2;
    }
    int legs = atoi(arguments[1]), seconds = atoi(arguments[2]);
    int server_port = atoi(arguments[3]), own_port = atoi(arguments[4]);
    Totals totals = {.capacity = seconds * 50 + 200};
    size_t all = (size_t)legs * (size_t)totals.capacity;
    Phone *phones = calloc((size_t)legs, sizeof *phones);
    double *deviations = malloc(all * sizeof *deviations), *scratch = malloc((size_t)totals.capacity * sizeof *scratch);
    totals.latency_room = all;
    totals.latencies = malloc(all * sizeof *totals.latencies);
    if (!phones || !deviations || !scratch || !totals.latencies)
        fail("memory");
    srand(1234);
    for (int i = 0; i < legs; i++)
        phone_open(&phones[i], own_port + 2 * i, server_port + 2 * i, totals.capacity);

    int64_t start = clock_now(CLOCK_MONOTONIC) + 2 * MILLISECOND;
    int64_t start_realtime = start + clock_now(CLOCK_REALTIME) - clock_now(CLOCK_MONOTONIC);
    int64_t end = (int64_t)seconds * 1000;
    double latest = 0;
    totals.end = end * MILLISECOND;
    for (int64_t ms = 0; ms < end + DRAIN_MS; ms++) {
        int64_t due = start + ms * MILLISECOND;
        sleep_until(due);
        double late = (double)(clock_now(CLOCK_MONOTONIC) - due) / MILLISECOND;
        if (late > latest)
            latest = late;
        for (int i = 0; i < legs; i++) {
            int turn = (int)(ms - phones[i].phase) % PHASES;
            if (turn == 0 && ms < end)
                phone_send(&phones[i], ms / PHASES, start, &totals);
            else if (turn == PHASES / 2)
                phone_receive(&phones[i], start_realtime, &totals);
        }
    }

    size_t judged = 0;
    int64_t lost = 0;
    int silent = 0;
    for (int i = 0; i < legs; i++) {
        judged += deviations_of(&phones[i], scratch, deviations + judged, &lost);
        silent += !phones[i].heard;
    }
    qsort(deviations, judged, sizeof *deviations, ascending);
    qsort(totals.latencies, totals.latency_count, sizeof *totals.latencies, ascending);
    printf("{\"sent\": %" PRId64 ", \"send_errors\": %" PRId64 ", \"received\": %" PRId64 ", \"duplicates\": %" PRId64
           ", \"lost\": %" PRId64 ", \"silent\": %d, \"keys\": %" PRId64,
           totals.sent, totals.send_errors, totals.received, totals.duplicates, lost, silent, totals.keys);
    printf(", \"deviation_ms\": {\"p50\": %.3f, \"p99\": %.3f, \"max\": %.3f}", percentile(deviations, judged, 0.5),
           percentile(deviations, judged, 0.99), percentile(deviations, judged, 1));
    printf(", \"latency_ms\": {\"p50\": %.3f, \"p99\": %.3f, \"max\": %.3f}, \"own_lateness_ms\": %.2f}\n",
           percentile(totals.latencies, totals.latency_count, 0.5),
           percentile(totals.latencies, totals.latency_count, 0.99),
           percentile(totals.latencies, totals.latency_count, 1), latest);
    return 0;
}
