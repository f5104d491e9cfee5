/* ICE legs: one port for RTP, RTCP, STUN and DTLS, told apart by the first byte (RFC 7983), and what of it is handed up.
 *
 * STUN and DTLS are for Python, so what anybody may send of them is limited: what comes from the nominated pair's far
 * end has an allowance of its own, or a flood from elsewhere would cost the leg its consent (RFC 7675). */
#include "core.h"

#include <errno.h>

enum {
    STUN_LAST = 3,
    DTLS_FIRST = 20,
    DTLS_LAST = 63,
    MEDIA_FIRST = 128,
    MEDIA_LAST = 191,
    STUN_HEADER = 20,
    DTLS_HEADER = 13,
    /* Many candidates on both sides make some 50 checks a second for a second or two. */
    DATAGRAMS_AT_ONCE = 100,
};

#define STUN_COOKIE 0x2112A442u
#define DATAGRAM_EVERY (10 * MILLISECOND)

static bool is_stun(const uint8_t *data, size_t size)
{
    return size >= STUN_HEADER && data[0] <= STUN_LAST && get32(data + 4) == STUN_COOKIE
           && get16(data + 2) == size - STUN_HEADER;
}

static bool is_dtls(const uint8_t *data, size_t size)
{
    return size >= DTLS_HEADER && data[0] >= DTLS_FIRST && data[0] <= DTLS_LAST;
}

static bool is_media(const uint8_t *data, size_t size)
{
    return size && data[0] >= MEDIA_FIRST && data[0] <= MEDIA_LAST;
}

static bool within_rate(int64_t *due, int64_t now)
{
    int64_t next = *due > now ? *due : now;
    if (next - now > DATAGRAMS_AT_ONCE * DATAGRAM_EVERY)
        return false;
    *due = next + DATAGRAM_EVERY;
    return true;
}

static void hand_up(Engine *engine, Leg *leg, const uint8_t *data, size_t size, const Address *from, int64_t now)
{
    bool on_path = leg->has_path && address_equal(from, &leg->destination);
    if (!within_rate(&leg->datagrams_due[on_path], now) || !event_push_datagram(engine, leg, data, size, from))
        leg->statistics.datagrams_dropped++;
}

void leg_receive(Engine *engine, Leg *leg, const uint8_t *data, size_t size, const Address *from, int64_t arrival,
                 int64_t now)
{
    if (!leg->ice || is_media(data, size))
        leg_receive_rtp(engine, leg, data, size, from, arrival, now);
    else if (size <= PACKET_MAX && (is_stun(data, size) || is_dtls(data, size)))
        hand_up(engine, leg, data, size, from, now);
    else
        leg->statistics.malformed++;
}

/* The leg with the engine locked, and the address; NULL with the problem and nothing locked. */
static Leg *lock_ice_leg(Engine *engine, int64_t id, const char *text, int port, Address *address, int *problem)
{
    *problem = -EINVAL;
    if (port < 1 || port > 65535 || !address_parse(text, port, address)
        || address->any.sa_family != engine->address.any.sa_family)
        return NULL;
    engine_lock(engine);
    Leg *leg = leg_of(engine, id);
    if (leg && leg->ice)
        return leg;
    engine_unlock(engine);
    *problem = leg ? -EINVAL : -ENOENT;
    return NULL;
}

int media_leg_set_path(Engine *engine, int64_t id, const char *address, int port)
{
    Address path;
    int problem;
    Leg *leg = lock_ice_leg(engine, id, address, port, &path, &problem);
    if (!leg)
        return problem;
    leg->destination = path;
    leg->has_path = true;
    leg_watch(engine, leg);
    engine_unlock(engine);
    return 0;
}

int media_leg_send_datagram(Engine *engine, int64_t id, const uint8_t *data, size_t size, const char *address, int port)
{
    Address to;
    int problem;
    if (size > PACKET_MAX || !(is_stun(data, size) || is_dtls(data, size)))
        return -EINVAL;
    Leg *leg = lock_ice_leg(engine, id, address, port, &to, &problem);
    if (!leg)
        return problem;
    /* ICE and DTLS send again what does not arrive, and what cannot be sent does not arrive. */
    if (sendto(leg->rtp_fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL, &to.any, address_size(&to)) < 0)
        leg->statistics.send_errors++;
    engine_unlock(engine);
    return 0;
}
