/* One RTP packet (RFC 3550 5.1) and the book-keeping about its sender (A.1, A.3, A.8). */
#include "core.h"

#include <string.h>

enum { SEQUENCES = 1 << 16, MAX_DROPOUT = 3000, MAX_MISORDER = 100, REMEMBERED = 64 };

bool rtp_parse(const uint8_t *data, size_t size, RtpPacket *packet)
{
    if (size < RTP_HEADER || data[0] >> 6 != 2)
        return false;
    size_t header = RTP_HEADER + 4u * (data[0] & 15);
    if (data[0] & 0x10) {
        if (size < header + 4)
            return false;
        header += 4 + 4u * get16(data + header + 2);
    }
    if (size < header)
        return false;
    size_t padding = 0;
    if (data[0] & 0x20) {
        padding = data[size - 1];
        if (!padding || padding > size - header)
            return false;
    }
    packet->marker = data[1] & 0x80;
    packet->payload_type = data[1] & 0x7F;
    packet->sequence = get16(data + 2);
    packet->timestamp = get32(data + 4);
    packet->ssrc = get32(data + 8);
    packet->payload = data + header;
    packet->size = size - header - padding;
    return true;
}

void reception_start(Reception *reception, uint32_t ssrc)
{
    int64_t lost_before = reception->lost_before + reception_lost(reception);
    memset(reception, 0, sizeof *reception);
    reception->lost_before = lost_before;
    reception->ssrc = ssrc;
}

static void restart(Reception *reception, uint16_t sequence)
{
    reception_start(reception, reception->ssrc);
    reception->started = true;
    reception->base_sequence = sequence;
    reception->max_sequence = sequence;
    reception->bad_sequence = SEQUENCES + 1;
    reception->received = reception->distinct = 1;
    reception->seen = 1;
}

Sequence reception_update(Reception *reception, uint16_t sequence)
{
    if (!reception->started) {
        restart(reception, sequence);
        return SEQUENCE_NEXT;
    }
    uint16_t ahead = (uint16_t)(sequence - reception->max_sequence);
    if (ahead && ahead < MAX_DROPOUT) {
        if (sequence < reception->max_sequence)
            reception->cycles += SEQUENCES;
        reception->max_sequence = sequence;
        reception->seen = ahead < REMEMBERED ? reception->seen << ahead | 1 : 1;
        reception->received++;
        reception->distinct++;
        return SEQUENCE_NEXT;
    }
    uint16_t behind = (uint16_t)-ahead;
    if (behind >= MAX_MISORDER) {
        if (sequence != reception->bad_sequence) {
            reception->bad_sequence = (sequence + 1u) & (SEQUENCES - 1);
            return SEQUENCE_DOUBTFUL;
        }
        restart(reception, sequence);
        return SEQUENCE_NEXT;
    }
    reception->received++;
    /* Older than the window remembers: a duplicate is likelier to be taken for late than to do harm. */
    uint64_t bit = behind < REMEMBERED ? UINT64_C(1) << behind : 0;
    if (reception->seen & bit)
        return SEQUENCE_DUPLICATE;
    reception->seen |= bit;
    reception->distinct++;
    return SEQUENCE_LATE;
}

void reception_jitter(Reception *reception, uint32_t timestamp, int64_t arrival, int scale)
{
    uint32_t transit = (uint32_t)(arrival * scale / NS_PER_SAMPLE) - timestamp;
    if (reception->transit_known) {
        double difference = (int32_t)(transit - reception->transit);
        reception->jitter += ((difference < 0 ? -difference : difference) - reception->jitter) / 16;
    }
    reception->transit = transit;
    reception->transit_known = true;
}

int64_t reception_lost(const Reception *reception)
{
    if (!reception->started)
        return 0;
    int64_t expected = (int64_t)reception->cycles + reception->max_sequence - reception->base_sequence + 1;
    int64_t lost = expected - reception->distinct;
    return lost > 0 ? lost : 0;
}
