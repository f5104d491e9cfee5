/* RTCP (RFC 3550 6): reports in both directions and the BYE at a leg's end. */
#include "core.h"

#include <string.h>

enum {
    SENDER_REPORT = 200,
    RECEIVER_REPORT = 201,
    SOURCE_DESCRIPTION = 202,
    GOODBYE = 203,
    CNAME = 1,
    REPORT_BLOCK = 24,
    SENDER_INFO = 20,
};

#define INTERVAL (5 * SECOND)
#define NTP_EPOCH INT64_C(2208988800)
/* A longer round trip is a far end that miscounts. */
#define ROUND_TRIP_MAX_MS 30000

static uint64_t ntp_time(const Engine *engine, int64_t now)
{
    int64_t realtime = now + engine->realtime_offset;
    uint64_t fraction = ((uint64_t)(realtime % SECOND) << 32) / SECOND;
    return (uint64_t)(realtime / SECOND + NTP_EPOCH) << 32 | fraction;
}

void rtcp_schedule(Engine *engine, Leg *leg, int64_t now, bool first)
{
    /* 6.2: half to one and a half times the interval, so that the reports of many legs do not fall together; the
     * first after half the time. */
    int64_t wait = INTERVAL / 2 + (int64_t)(random_next(engine) % (uint64_t)INTERVAL);
    leg->rtcp.next = now + (first ? wait / 2 : wait);
}

static uint8_t *report_block(Leg *leg, int64_t now, uint8_t *at)
{
    Reception *reception = &leg->reception;
    uint32_t highest = reception->cycles + reception->max_sequence;
    uint32_t expected = highest - reception->base_sequence + 1;
    int64_t lost = (int64_t)expected - reception->received;
    if (lost > 0x7FFFFF)
        lost = 0x7FFFFF;
    if (lost < -0x800000)
        lost = -0x800000;
    int64_t expected_interval = (int64_t)(expected - reception->expected_prior);
    int64_t lost_interval = expected_interval - (int64_t)(reception->received - reception->received_prior);
    int64_t fraction = expected_interval > 0 && lost_interval > 0 ? lost_interval * 256 / expected_interval : 0;
    reception->expected_prior = expected;
    reception->received_prior = reception->received;
    put32(at, reception->ssrc);
    put32(at + 4, (uint32_t)lost & 0xFFFFFF);
    at[4] = (uint8_t)(fraction > 255 ? 255 : fraction);
    put32(at + 8, highest);
    put32(at + 12, (uint32_t)reception->jitter);
    bool answers = leg->rtcp.sr_middle && leg->rtcp.sr_ssrc == reception->ssrc;
    put32(at + 16, answers ? leg->rtcp.sr_middle : 0);
    put32(at + 20, answers ? (uint32_t)((now - leg->rtcp.sr_arrival) * 65536 / SECOND) : 0);
    return at + REPORT_BLOCK;
}

static void finish(uint8_t *packet, const uint8_t *end, int count, int type)
{
    packet[0] = (uint8_t)(0x80 | count);
    packet[1] = (uint8_t)type;
    put16(packet + 2, (uint32_t)(end - packet) / 4 - 1);
}

static uint8_t *report(const Engine *engine, Leg *leg, int64_t now, uint8_t *packet)
{
    bool sender = leg->statistics.packets_sent > leg->rtcp.packets_reported;
    bool receiver = leg->reception.started;
    uint8_t *at = packet + 8;
    put32(packet + 4, leg->out.ssrc);
    if (sender) {
        uint64_t ntp = ntp_time(engine, now);
        put32(at, (uint32_t)(ntp >> 32));
        put32(at + 4, (uint32_t)ntp);
        put32(at + 8, stream_clock(&leg->out, now));
        put32(at + 12, (uint32_t)leg->statistics.packets_sent);
        put32(at + 16, (uint32_t)leg->statistics.bytes_sent);
        at += SENDER_INFO;
    }
    leg->rtcp.packets_reported = leg->statistics.packets_sent;
    if (receiver)
        at = report_block(leg, now, at);
    finish(packet, at, receiver, sender ? SENDER_REPORT : RECEIVER_REPORT);
    return at;
}

static uint8_t *source_description(const Leg *leg, uint8_t *packet)
{
    uint8_t *at = packet + 10;
    size_t length = strlen(leg->rtcp.cname);
    put32(packet + 4, leg->out.ssrc);
    packet[8] = CNAME;
    packet[9] = (uint8_t)length;
    memcpy(at, leg->rtcp.cname, length);
    at += length;
    /* 6.5: items end with at least one zero byte, up to the next 32-bit boundary. */
    do
        *at++ = 0;
    while ((at - packet) % 4);
    finish(packet, at, 1, SOURCE_DESCRIPTION);
    return at;
}

void rtcp_send(Engine *engine, Leg *leg, int64_t now, bool bye)
{
    _Alignas(8) uint8_t packet[256], sealed[SEALED_MAX];
    const uint8_t *bytes = packet;
    if (!leg->has_remote || !leg_may_send(leg))
        return;
    uint8_t *at = source_description(leg, report(engine, leg, now, packet));
    if (bye) {
        put32(at + 4, leg->out.ssrc);
        finish(at, at + 8, 1, GOODBYE);
        at += 8;
    }
    bool mux = leg->remote.rtcp_mux;
    const Address *to = mux ? &leg->destination : &leg->rtcp_destination;
    size_t size = (size_t)(at - packet);
    if (leg->srtp.required) {
        size = srtp_seal(&leg->srtp, true, packet, size, sealed);
        bytes = sealed;
    }
    if (!size || sendto(mux ? leg->rtp_fd : leg->rtcp_fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL, &to->any,
               address_size(to))
        < 0)
        leg->statistics.send_errors++;
    rtcp_schedule(engine, leg, now, false);
}

static void read_report_block(const Engine *engine, Leg *leg, const uint8_t *at, int64_t now)
{
    if (get32(at) != leg->out.ssrc)
        return;
    int32_t lost = (int32_t)(get32(at + 4) << 8) / 256;
    leg->statistics.remote_lost = lost > 0 ? lost : 0;
    leg->statistics.remote_jitter_ms = get32(at + 12) / (double)(SAMPLES_PER_MS * leg->out.scale);
    uint32_t last = get32(at + 16), delay = get32(at + 20);
    if (!last)
        return;
    int32_t units = (int32_t)((uint32_t)(ntp_time(engine, now) >> 16) - last - delay);
    double round_trip_ms = units * 1000.0 / 65536;
    /* Clocks of 1/65536 s on both sides may make a short trip seem negative. */
    if (round_trip_ms > -2 && round_trip_ms < ROUND_TRIP_MAX_MS)
        leg->statistics.round_trip_ms = round_trip_ms > 0 ? round_trip_ms : 0;
}

/* A.2, but for the padding of single packets, which is of no consequence here. */
static bool valid(const uint8_t *data, size_t size)
{
    if (size < 8 || size % 4 || (data[0] & 0xE0) != 0x80 || (data[1] != SENDER_REPORT && data[1] != RECEIVER_REPORT))
        return false;
    size_t at = 0;
    while (at < size) {
        if (size - at < 4 || data[at] >> 6 != 2)
            return false;
        at += 4 + 4u * get16(data + at + 2);
    }
    return at == size;
}

static bool from_far_end(const Leg *leg, const Address *from)
{
    return leg->ice || address_same_host(from, &leg->signalled) || (leg->locked && address_same_host(from, &leg->source));
}

void leg_receive_rtcp(Engine *engine, Leg *leg, const uint8_t *data, size_t size, const Address *from, int64_t now)
{
    _Alignas(8) uint8_t opened[PACKET_MAX];
    if (!leg->has_remote || !from_far_end(leg, from)) {
        leg->statistics.ignored++;
        return;
    }
    if (leg->srtp.required) {
        if (!(size = srtp_open(leg, true, data, size, opened, now)))
            return;
        data = opened;
    }
    if (!valid(data, size)) {
        leg->statistics.malformed++;
        return;
    }
    for (size_t at = 0, length; at < size; at += length) {
        const uint8_t *packet = data + at;
        length = 4 + 4u * get16(packet + 2);
        bool sender = packet[1] == SENDER_REPORT;
        size_t header = 8 + (sender ? SENDER_INFO : 0);
        if ((!sender && packet[1] != RECEIVER_REPORT) || length < header)
            continue;
        if (sender) {
            leg->rtcp.sr_ssrc = get32(packet + 4);
            leg->rtcp.sr_middle = get32(packet + 10);
            leg->rtcp.sr_arrival = now;
        }
        for (int block = 0; block < (packet[0] & 31) && header + REPORT_BLOCK <= length; block++) {
            read_report_block(engine, leg, packet + header, now);
            header += REPORT_BLOCK;
        }
    }
    if (!leg->remote.rtcp_mux) {
        leg->rtcp_latched = true;
        leg->rtcp_destination = *from;
    }
    leg_heard(engine, leg, now);
}
